import type { AdmissionCase } from "./admission-case.ts";
import { podSettingsCases } from "./pod-settings-cases.ts";
import { ruleCases } from "./rule-cases.ts";

/**
 * Resources that are valid and resources that are refused, with the message that says what to change. One table
 * for zod, for CEL in a unit test, and for a real API server.
 */
export const DIGEST = "4b1f09c2e1c3b7a5d8f6e4a2908172635445362718a9b0c1d2e3f4051627384f";
const model = { uri: "s3://models/digits/2/model.onnx", sha256: DIGEST };
const file = { path: "model.onnx", uri: "https://models.example/model.onnx", sha256: DIGEST };
const container = {
  image: "registry.example/triton:24.10",
  httpPort: 8000,
  readiness: { httpPath: "/v2/health/ready" },
};
const exactlyOneSource =
  "spec: set exactly one of model (with one of uri, files and image), container and graph";
const exactlyOneOfModel = "model: set exactly one of uri, files and image";
const step = { weightPercent: 10, holdSeconds: 60 };

export const modelServingCases: readonly AdmissionCase[] = [
  { name: "a model by uri and digest", spec: { model } },
  {
    name: "a model of several files",
    spec: { model: { files: [file, { ...file, path: "weights/data.bin" }] } },
  },
  { name: "a model in an image", spec: { model: { image: `registry.example/digits@sha256:${DIGEST}` } } },
  { name: "a container", spec: { container } },
  {
    name: "everything of the common case",
    spec: {
      model,
      replicas: 2,
      ingress: { profile: "ALB" },
      canary: {
        steps: [
          { weightPercent: 5, holdSeconds: 120 },
          { weightPercent: 50, holdSeconds: 300 },
        ],
        analysis: { maxErrorPerMille: 1, maxP99Milliseconds: 80 },
      },
    },
  },
  {
    name: "a graph whose nodes are a model, a container, another resource and a combination",
    spec: {
      graph: {
        entry: "pre",
        nodes: [
          { name: "pre", container },
          { name: "a", model, preprocess: [{ resize: { tensor: "x", width: 8, height: 8 } }] },
          { name: "b", serving: "other" },
          { name: "mean", combine: "Mean" },
        ],
        edges: [
          { from: "pre", to: "a" },
          { from: "pre", to: "b", tensors: [{ from: "out", to: "in" }] },
          { from: "a", to: "mean" },
          { from: "b", to: "mean" },
        ],
      },
    },
  },
  {
    name: "a cascade: the second model gets a tensor of the request, and an output under another name",
    spec: {
      graph: {
        entry: "small",
        nodes: [
          { name: "small", model, routing: "Switch" },
          { name: "large", model },
          { name: "answer", combine: "Max" },
        ],
        edges: [
          {
            from: "small",
            to: "large",
            when: { output: "confidence", lessThan: "0.9" },
            tensors: [
              { from: "input", to: "input", source: "Request" },
              { from: "features", to: "hint", source: "Output" },
            ],
          },
          { from: "small", to: "answer" },
          { from: "large", to: "answer" },
        ],
      },
    },
  },
  {
    name: "pod settings, all of them",
    spec: {
      model,
      pod: {
        resources: { requests: { cpu: "500m", memory: "1Gi" }, limits: { "nvidia.com/gpu": 1, cpu: 2 } },
        nodeSelector: { "topology.kubernetes.io/zone": "a" },
        tolerations: [{ key: "gpu", operator: "Exists", effect: "NoSchedule" }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: "gpu", operator: "In", values: ["l4", "h100"] }] },
              ],
            },
          },
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              {
                weight: 100,
                podAffinityTerm: {
                  labelSelector: { matchLabels: { app: "digits" } },
                  topologyKey: "kubernetes.io/hostname",
                },
              },
            ],
          },
        },
        runtimeClassName: "nvidia",
        priorityClassName: "high",
        imagePullSecrets: [{ name: "pull" }],
        env: [
          { name: "LOG_LEVEL", value: "info" },
          { name: "TOKEN", valueFrom: { secretKeyRef: { name: "token", key: "value", optional: true } } },
        ],
        sharedMemory: "64Mi",
        serviceAccountName: "models",
        annotations: { "example.com/team": "vision" },
      },
    },
  },
  {
    name: "autoscaling, availability, traffic, robots, observability and network policy",
    spec: {
      model: {
        ...model,
        credentials: { webIdentity: { roleArn: "arn:aws:iam::123456789012:role/models" } },
        caBundle: { configMapName: "ca" },
        signature: { publicKeySecret: { name: "signer" }, uri: "s3://models/digits.sig" },
        cache: { persistentVolumeClaim: "models", sizeLimit: "10Gi" },
        variants: [
          {
            name: "orin",
            format: "TensorRTPlan",
            uri: "s3://models/orin.plan",
            sha256: DIGEST,
            requires: { gpuArchitecture: "8.7", tensorRT: "10.3" },
          },
        ],
      },
      autoscaling: { maxReplicas: 10, metrics: [{ type: "Concurrency", target: 8 }] },
      availability: { minAvailable: "50%", maxSurge: 1 },
      traffic: { router: "Always", parentRefs: [{ name: "public" }], hostnames: ["digits.example"] },
      robots: {
        selector: { matchLabels: { site: "seoul" } },
        waves: [
          { percent: 1, soakSeconds: 60 },
          { percent: 100, soakSeconds: 600 },
        ],
      },
      observability: { serviceMonitor: { labels: { release: "prometheus" } } },
      networkPolicy: { allowFromNamespaces: ["web"], metricsFromNamespaces: ["monitoring"] },
      server: {
        batching: { maxDelayMicroseconds: 500 },
        preprocess: [{ decodeImage: { input: "image", output: "pixels", color: "Grayscale" } }],
        postprocess: [{ labels: { input: "indices", output: "digit", values: ["0", "1"] } }],
      },
      termination: { preStopSeconds: 10, drainSeconds: 20, gracePeriodSeconds: 40 },
    },
  },

  {
    name: "keep-alive equal to the profile's idle time-out",
    spec: { model, ingress: { profile: "ALB", keepAliveSeconds: 60 } },
    refused: "ingress: keepAliveSeconds must be longer than the ingress profile's idle time-out",
  },
  {
    name: "keep-alive one second longer",
    spec: { model, ingress: { profile: "ALB", keepAliveSeconds: 61 } },
  },
  {
    name: "keep-alive below the default profile's idle time-out",
    spec: { model, ingress: { keepAliveSeconds: 30 } },
    refused: "ingress: keepAliveSeconds must be longer",
  },
  {
    name: "keep-alive below an idle time-out that was changed",
    spec: { model, ingress: { profile: "NGINX", idleTimeoutSeconds: 120, keepAliveSeconds: 100 } },
    refused: "ingress: keepAliveSeconds must be longer",
  },
  {
    name: "keep-alive above an idle time-out that was shortened",
    spec: { model, ingress: { profile: "Envoy", idleTimeoutSeconds: 30, keepAliveSeconds: 45 } },
  },
  {
    name: "grace equal to preStop and drain",
    spec: { model, termination: { preStopSeconds: 10, drainSeconds: 20, gracePeriodSeconds: 30 } },
    refused: "termination: gracePeriodSeconds must be longer than preStopSeconds and drainSeconds together",
  },
  {
    name: "grace equal to the profile's deregistration and the request deadline",
    spec: { model, ingress: { profile: "ALB" }, termination: { gracePeriodSeconds: 60 } },
    refused: "spec: termination.gracePeriodSeconds must be longer than preStop and drain together",
  },
  {
    name: "grace one second longer than those",
    spec: { model, ingress: { profile: "ALB" }, termination: { gracePeriodSeconds: 61 } },
  },
  {
    name: "grace too short for a long request deadline that is rounded up",
    spec: {
      model,
      ingress: { profile: "NGINX" },
      server: { requestTimeoutMilliseconds: 60_001 },
      termination: { gracePeriodSeconds: 66 },
    },
    refused: "spec: termination.gracePeriodSeconds must be longer",
  },
  {
    name: "grace with a short request deadline, which drains for 15 s",
    spec: {
      model,
      ingress: { profile: "NGINX" },
      server: { requestTimeoutMilliseconds: 1000 },
      termination: { gracePeriodSeconds: 21 },
    },
  },
  {
    name: "grace with deregistration of its own",
    spec: { model, ingress: { deregistrationSeconds: 100 }, termination: { gracePeriodSeconds: 130 } },
    refused: "spec: termination.gracePeriodSeconds must be longer",
  },
  { name: "no source", spec: {}, refused: exactlyOneSource },
  { name: "a model and a container", spec: { model, container }, refused: exactlyOneSource },
  { name: "a model without a source", spec: { model: {} }, refused: exactlyOneOfModel },
  {
    name: "a model by uri and files",
    spec: { model: { ...model, files: [file] } },
    refused: exactlyOneOfModel,
  },
  {
    name: "a model by files and image",
    spec: { model: { files: [file], image: `registry.example/digits@sha256:${DIGEST}` } },
    refused: exactlyOneOfModel,
  },
  {
    name: "a uri without a digest",
    spec: { model: { uri: model.uri } },
    refused: "model: uri and sha256 go together",
  },
  {
    name: "a path without an image",
    spec: { model: { ...model, path: "a.onnx" } },
    refused: "model: path belongs to image",
  },
  {
    name: "a signature of a model that is not downloaded",
    spec: {
      model: {
        image: `registry.example/digits@sha256:${DIGEST}`,
        signature: { publicKeySecret: { name: "signer" }, uri: "https://models.example/digits.sig" },
      },
    },
    refused: "model: signature is of what is downloaded",
  },
  {
    name: "scale to zero without the router",
    spec: { model, autoscaling: { minReplicas: 0, maxReplicas: 3 } },
    refused: "spec: autoscaling.minReplicas 0 needs the router in front",
  },
  {
    name: "scale to zero with the router asked for",
    spec: { model, autoscaling: { minReplicas: 0, maxReplicas: 3 }, traffic: { router: "Always" } },
  },
  {
    name: "scale to zero with a canary, which has a router",
    spec: { model, autoscaling: { minReplicas: 0, maxReplicas: 3 }, canary: { steps: [step] } },
  },
  {
    name: "scale to zero with the router left to itself",
    spec: { model, autoscaling: { minReplicas: 0, maxReplicas: 3 }, traffic: {} },
    refused: "spec: autoscaling.minReplicas 0 needs the router in front",
  },
  {
    name: "replicas beside autoscaling",
    spec: { model, replicas: 2, autoscaling: { maxReplicas: 3 } },
    refused: "spec: replicas and autoscaling exclude each other",
  },
  {
    name: "more replicas at least than at most",
    spec: { model, autoscaling: { minReplicas: 4, maxReplicas: 3 } },
    refused: "autoscaling: minReplicas must not be above maxReplicas",
  },
  {
    name: "canary weights that fall",
    spec: { model, canary: { steps: [{ ...step, weightPercent: 50 }, step] } },
    refused: "canary: weightPercent must rise from step to step",
  },
  {
    name: "canary weights that stay",
    spec: { model, canary: { steps: [step, step] } },
    refused: "canary: weightPercent must rise from step to step",
  },
  {
    name: "canary weights of which the last falls, at the longest list",
    spec: {
      model,
      canary: {
        steps: Array.from({ length: 20 }, (_, i) => ({
          weightPercent: i === 19 ? 0 : i + 1,
          holdSeconds: 1,
        })),
      },
    },
    refused: "canary: weightPercent must rise from step to step",
  },
  {
    name: "a digest with a prefix",
    spec: { model: { ...model, sha256: `sha256:${DIGEST}` } },
    refused: "sha256: this is not a digest",
  },
  {
    name: "a digest in upper case",
    spec: { model: { ...model, sha256: DIGEST.toUpperCase() } },
    refused: "sha256: this is not a digest",
  },
  {
    name: "a digest that is too short",
    spec: { model: { ...model, sha256: DIGEST.slice(1) } },
    refused: "sha256: this is not a digest",
  },
  {
    name: "a model image without a digest",
    spec: { model: { image: "registry.example/digits:2" } },
    refused: "image: it must be pinned by digest",
  },
  {
    name: "server settings beside a container",
    spec: { container, server: {} },
    refused: "spec: server sets Naru's own inference server",
  },
  {
    name: "a container without a port",
    spec: { container: { image: "x", readiness: { httpPath: "/" } } },
    refused: "container: set httpPort, grpcPort or both",
  },
  {
    name: "metrics of a container without a port that could show them",
    spec: {
      container: { image: "a", grpcPort: 8001, readiness: { grpcService: "" }, metrics: { path: "/m" } },
    },
    refused: "container: metrics needs metrics.port or httpPort",
  },
  {
    name: "metrics of a container that speaks gRPC, on a port of their own",
    spec: {
      container: { image: "a", grpcPort: 8001, readiness: { grpcService: "" }, metrics: { port: 8002 } },
    },
  },
  {
    name: "a graph's step that speaks gRPC alone",
    spec: {
      graph: {
        entry: "pre",
        nodes: [{ name: "pre", container: { image: "a", grpcPort: 8001, readiness: { grpcService: "" } } }],
      },
    },
    refused: "graph node: the router calls a step over HTTP: set container.httpPort",
  },
  {
    name: "routes with host names of their own for gRPC",
    spec: {
      model,
      traffic: {
        parentRefs: [{ name: "public", namespace: "gateways", sectionName: "https", port: 443 }],
        hostnames: ["digits.example"],
        grpcHostnames: ["grpc.digits.example"],
      },
    },
  },
  {
    name: "a container with metrics on its HTTP port, behind a canary, read by Prometheus",
    spec: {
      container: { ...container, metrics: { port: 8000 } },
      canary: { steps: [step] },
      observability: { serviceMonitor: {} },
    },
  },
  {
    name: "autoscaling by KEDA on every metric",
    spec: {
      model,
      autoscaling: {
        minReplicas: 2,
        maxReplicas: 8,
        provider: "KEDA",
        metrics: [
          { type: "CPU", target: 70 },
          { type: "Memory", target: 80 },
          { type: "Concurrency", target: 4 },
          { type: "RequestsPerSecond", target: 50 },
          { type: "QueueMilliseconds", target: 20 },
        ],
      },
    },
  },
  {
    name: "two ways of credentials",
    spec: { model: { ...model, credentials: { secretRef: { name: "s3" }, serviceAccount: true } } },
    refused: "credentials: set exactly one of",
  },
  {
    name: "two nodes of one name",
    spec: {
      graph: {
        entry: "a",
        nodes: [
          { name: "a", model },
          { name: "a", combine: "Mean" },
        ],
      },
    },
    refused: "graph: two nodes have the same name",
  },
  {
    name: "an edge from a node to itself",
    spec: { graph: { entry: "a", nodes: [{ name: "a", model }], edges: [{ from: "a", to: "a" }] } },
    refused: "graph edge: from and to are the same node",
  },
  {
    name: "a node with a model and a container",
    spec: { graph: { entry: "a", nodes: [{ name: "a", model, container }] } },
    refused: "graph node: set exactly one of model, container, serving and combine",
  },
  {
    name: "a condition that compares with nothing",
    spec: {
      graph: {
        entry: "a",
        nodes: [
          { name: "a", model },
          { name: "b", model },
        ],
        edges: [{ from: "a", to: "b", when: { output: "y" } }],
      },
    },
    refused: "when: set equals, lessThan or atLeast",
  },
  {
    name: "a step of two kinds",
    spec: {
      model,
      server: {
        postprocess: [
          { softmax: { input: "a", output: "b" }, topK: { input: "b", scores: "c", indices: "d", k: 1 } },
        ],
      },
    },
    refused: "step: set exactly one of",
  },
  {
    name: "an annotation that takes a container's confinement away",
    spec: {
      model,
      pod: { annotations: { "container.apparmor.security.beta.kubernetes.io/server": "unconfined" } },
    },
    refused: "annotations: container.apparmor.security.beta.kubernetes.io/ would change",
  },
  {
    name: "a variable of the runtime's own",
    spec: { model, pod: { env: [{ name: "NARU_HTTP_PORT", value: "1" }] } },
    refused: "env: names that begin with NARU_",
  },
  {
    name: "a variable that is set twice",
    spec: {
      model,
      pod: {
        env: [
          { name: "A", value: "1" },
          { name: "A", value: "2" },
        ],
      },
    },
    refused: "env: a variable is set twice",
  },
  {
    name: "a variable with a value and a source",
    spec: {
      model,
      pod: { env: [{ name: "A", value: "1", valueFrom: { secretKeyRef: { name: "a", key: "b" } } }] },
    },
    refused: "env: set value or valueFrom",
  },
  {
    name: "a label key with a space",
    spec: { model, pod: { nodeSelector: { "a b": "c" } } },
    refused: "a key is not valid",
  },
  {
    name: "a label key that is too long",
    spec: { model, pod: { annotations: { ["a".repeat(400)]: "c" } } },
    refused: "a key is not valid",
  },
  {
    name: "both budgets of disruption",
    spec: { model, availability: { minAvailable: 1, maxUnavailable: 1 } },
    refused: "availability: set minAvailable or maxUnavailable",
  },
  {
    name: "waves that fall",
    spec: {
      model,
      robots: {
        selector: { matchLabels: {} },
        waves: [
          { percent: 50, soakSeconds: 1 },
          { percent: 5, soakSeconds: 1 },
        ],
      },
    },
    refused: "robots: percent must rise from wave to wave",
  },
  {
    name: "a host name twice",
    spec: { model, traffic: { hostnames: ["a.example", "a.example"] } },
    refused: "the list names one thing twice",
  },

  {
    name: "an unknown profile",
    spec: { model, ingress: { profile: "HAProxy" } },
    refused: "",
    bySchema: true,
  },
  {
    name: "a tensor from a source that there is not",
    spec: {
      graph: {
        entry: "a",
        nodes: [
          { name: "a", model },
          { name: "b", combine: "Mean" },
        ],
        edges: [{ from: "a", to: "b", tensors: [{ from: "x", to: "x", source: "Response" }] }],
      },
    },
    refused: "",
    bySchema: true,
  },
  { name: "a canary without steps", spec: { model, canary: { steps: [] } }, refused: "", bySchema: true },
  {
    name: "a weight above 100",
    spec: { model, canary: { steps: [{ weightPercent: 101, holdSeconds: 1 }] } },
    refused: "",
    bySchema: true,
  },
  { name: "a string for a number", spec: { model, replicas: "2" }, refused: "", bySchema: true },
  { name: "a fraction for an integer", spec: { model, replicas: 1.5 }, refused: "", bySchema: true },
  {
    name: "a uri of an unknown scheme",
    spec: { model: { ...model, uri: "ftp://x/y" } },
    refused: "",
    bySchema: true,
  },
  {
    name: "a path that climbs",
    spec: { model: { files: [{ ...file, path: "../x" }] } },
    refused: "",
    bySchema: true,
  },
  {
    name: "an amount that is no quantity",
    spec: { model, pod: { sharedMemory: "lots" } },
    refused: "",
    bySchema: true,
  },
  {
    name: "a negative amount",
    spec: { model, pod: { resources: { limits: { cpu: -1 } } } },
    refused: "",
    bySchema: true,
  },
  {
    name: "a label value with a space",
    spec: { model, pod: { nodeSelector: { a: "b c" } } },
    refused: "",
    bySchema: true,
  },
  ...podSettingsCases,
  ...ruleCases,
  {
    name: "a name that leaves no room for its children",
    spec: { model },
    resourceName: "a".repeat(41),
    refused: "",
    bySchema: true,
  },
  { name: "a field that does not exist", spec: { model, replica: 2 }, refused: "", bySchema: true },
];

/** The whole resource of a case. */
export function resourceOf(one: AdmissionCase, name: string): Record<string, unknown> {
  return {
    apiVersion: "naru.dev/v1alpha1",
    kind: "ModelServing",
    metadata: { name: one.resourceName ?? name },
    spec: one.spec,
  };
}
