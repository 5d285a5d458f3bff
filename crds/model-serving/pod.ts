import { z } from "zod";
import {
  annotations,
  dataKey,
  dnsSubdomain,
  image,
  labels,
  port,
  quantity,
  resourceList,
} from "../primitives.ts";
import { celAtMostOne, celExactlyOne, countPresent, keyedList, withRules } from "../rules.ts";
import { affinity, toleration } from "./scheduling.ts";

/** The one annotation by which Kubernetes itself takes confinement from a container. */
const APPARMOR = "container.apparmor.security.beta.kubernetes.io/";

const keyRef = (what: string) =>
  z
    .strictObject({
      name: dnsSubdomain.describe(`Name of the ${what}, in the namespace of this resource.`),
      key: dataKey.describe("Key in it."),
      optional: z.boolean().optional().describe("Start without it where it is absent."),
    })
    .describe(`A key of a ${what}.`);

const envVar = withRules(
  z.strictObject({
    name: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .describe("Name of the variable."),
    value: z.string().max(32768).optional().describe("Its value."),
    valueFrom: withRules(
      z.strictObject({
        secretKeyRef: keyRef("Secret").optional(),
        configMapKeyRef: keyRef("ConfigMap").optional(),
      }),
      [
        {
          cel: celExactlyOne(["secretKeyRef", "configMapKeyRef"]),
          message: "valueFrom: set exactly one of secretKeyRef and configMapKeyRef",
          holds: (value) => countPresent(value, ["secretKeyRef", "configMapKeyRef"]) === 1,
        },
      ],
    )
      .optional()
      .describe("Where the value comes from."),
  }),
  [
    {
      cel: celAtMostOne(["value", "valueFrom"]),
      message: "env: set value or valueFrom, not both",
      holds: (value) => countPresent(value, ["value", "valueFrom"]) <= 1,
    },
    {
      cel: "!self.name.startsWith('NARU_')",
      message: "env: names that begin with NARU_ are the runtime's own: choose another name",
      holds: (value) => !value.name.startsWith("NARU_"),
    },
  ],
);

/** The closed list of pod settings; never a PodSpec (design: no host path, no privilege, no sidecar by surprise). */
export const podSettings = z
  .strictObject({
    resources: z
      .strictObject({
        requests: resourceList.optional().describe("What is reserved."),
        limits: resourceList.optional().describe("What is not exceeded. Accelerators are asked for here."),
      })
      .optional()
      .describe("Resources of the serving container."),
    nodeSelector: labels.optional().describe("Labels that a node must have."),
    tolerations: z.array(toleration).max(32).optional().describe("Taints that are tolerated."),
    affinity: affinity.optional(),
    runtimeClassName: dnsSubdomain.optional().describe("RuntimeClass, such as nvidia."),
    priorityClassName: dnsSubdomain.optional().describe("PriorityClass."),
    imagePullSecrets: keyedList(
      z.array(z.strictObject({ name: dnsSubdomain.describe("Name of the Secret.") })).max(16),
      "name",
      "imagePullSecrets: a Secret is named twice: remove one of the two",
    )
      .optional()
      .describe("Secrets that images are pulled with."),
    env: keyedList(z.array(envVar).max(128), "name", "env: a variable is set twice: remove one of the two")
      .optional()
      .describe("Environment of the serving container. Names that begin with NARU_ are the runtime's own."),
    sharedMemory: quantity.optional().describe("Size of /dev/shm."),
    serviceAccountName: dnsSubdomain
      .optional()
      .describe("A service account that is there already. Absent: one is made, without a token in the pod."),
    annotations: withRules(annotations, [
      {
        cel: `!self.exists(k, k.startsWith('${APPARMOR}'))`,
        message: `annotations: ${APPARMOR} would change how a container is confined: leave it out`,
        holds: (value) => !Object.keys(value).some((name) => name.startsWith(APPARMOR)),
      },
    ])
      .optional()
      .describe("Annotations of the pods."),
  })
  .describe("Settings of the serving pods.");

const probePath = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^\/\S*$/, "must begin with / and have no spaces");

/** The user's own server: anything that speaks HTTP or gRPC. */
export const container = withRules(
  z.strictObject({
    image: image.describe("Image of the server, best pinned by digest."),
    command: z
      .array(z.string().max(4096))
      .max(64)
      .optional()
      .describe("Entry point, in place of the image's."),
    args: z.array(z.string().max(32768)).max(256).optional().describe("Arguments."),
    httpPort: port.optional().describe("Port that speaks HTTP."),
    grpcPort: port.optional().describe("Port that speaks gRPC (HTTP/2 without TLS)."),
    readiness: withRules(
      z.strictObject({
        httpPath: probePath
          .optional()
          .describe("Path on the HTTP port that answers 200 when the server can serve."),
        grpcService: z
          .string()
          .max(253)
          .optional()
          .describe("Service name for grpc.health.v1 on the gRPC port."),
      }),
      [
        {
          cel: celExactlyOne(["httpPath", "grpcService"]),
          message: "readiness: set exactly one of httpPath and grpcService",
          holds: (value) => countPresent(value, ["httpPath", "grpcService"]) === 1,
        },
      ],
    ).describe("How it is known that the server can serve."),
    startupSeconds: z
      .int()
      .min(1)
      .max(7200)
      .optional()
      .describe("How long the server may take to be ready for the first time. Absent: 600."),
    metrics: z
      .strictObject({
        path: probePath.optional().describe("Path of Prometheus metrics. Absent: /metrics."),
        port: port.optional().describe("Port of the metrics; absent: the HTTP port."),
      })
      .optional()
      .describe("Where the server shows metrics."),
  }),
  [
    {
      cel: "has(self.httpPort) || has(self.grpcPort)",
      message: "container: set httpPort, grpcPort or both",
      holds: (value) => value.httpPort !== undefined || value.grpcPort !== undefined,
    },
    {
      cel: "!has(self.readiness.httpPath) || has(self.httpPort)",
      message: "container: readiness.httpPath needs httpPort",
      holds: (value) => value.readiness.httpPath === undefined || value.httpPort !== undefined,
    },
    {
      cel: "!has(self.metrics) || has(self.metrics.port) || has(self.httpPort)",
      message: "container: metrics needs metrics.port or httpPort",
      holds: (value) =>
        value.metrics === undefined || value.metrics.port !== undefined || value.httpPort !== undefined,
    },
    {
      cel: "!has(self.readiness.grpcService) || has(self.grpcPort)",
      message: "container: readiness.grpcService needs grpcPort",
      holds: (value) => value.readiness.grpcService === undefined || value.grpcPort !== undefined,
    },
  ],
);
