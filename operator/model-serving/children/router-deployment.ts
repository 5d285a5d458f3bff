import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import { canonicalJson, shortHash } from "../../engine/canonical.ts";
import type { KubeObject } from "../../engine/objects.ts";
import { httpConfigOf } from "../connections.ts";
import { commonLabels, selectorOf } from "../labels.ts";
import { routerName } from "../names.ts";
import type { Plan, Situation } from "../plan.ts";
import { placement } from "../pod/pod-settings.ts";
import { CONFIG_DIR, runtimeServer } from "../pod/runtime-container.ts";
import { RESTRICTED_POD } from "../pod/security.ts";
import { servingDeployment } from "./deployment.ts";

const STARTUP_SECONDS = 600;
/** Keeps what was pushed over a restart of the container, whose mounted file may lag behind. */
const STATE_DIR = "/var/lib/naru";

/**
 * The routers. Their image is that of the stable revision: like the serving pods, they are not restarted by an
 * operator upgrade. Of their configuration, which
 * the operator sends them, only the connection rules shape their pods.
 */
export function routerDeployment(situation: Situation, plan: Plan): KubeObject {
  const { name, spec, connections } = situation;
  const selector = selectorOf(name, "router");
  const { imagePullSecrets, tolerations, priorityClassName } = placement(spec.pod);
  const server = runtimeServer("router", {
    name: "router",
    image: (plan.stable ?? plan.serving).input.runtimeImage,
    startupSeconds: STARTUP_SECONDS,
    preStopSeconds: connections.preStopSeconds,
  });
  const template: PodTemplateSpec = {
    metadata: {
      labels: { ...commonLabels(name), ...selector },
      // A server's connection rules are those that it began with: other rules need other pods.
      annotations: { "checksum/connections": shortHash(canonicalJson(httpConfigOf(connections))) },
    },
    spec: {
      containers: [
        {
          ...server,
          resources: { requests: { cpu: "100m", memory: "128Mi" } },
          env: [...(server.env ?? []), { name: "NARU_STATE_DIR", value: STATE_DIR }],
          volumeMounts: [
            { name: "config", mountPath: CONFIG_DIR, readOnly: true },
            { name: "state", mountPath: STATE_DIR },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
      volumes: [
        { name: "config", configMap: { name: routerName(name) } },
        { name: "state", emptyDir: {} },
        { name: "tmp", emptyDir: {} },
      ],
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: RESTRICTED_POD,
      terminationGracePeriodSeconds: connections.gracePeriodSeconds,
      topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map(
        (topologyKey) => ({
          maxSkew: 1,
          topologyKey,
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: selector },
        }),
      ),
      ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
      ...(tolerations === undefined ? {} : { tolerations }),
      ...(priorityClassName === undefined ? {} : { priorityClassName }),
    },
  };
  return servingDeployment(
    situation,
    // Routers ask for no accelerator, so one more always has a place.
    { surge: { maxSurge: "1", maxUnavailable: "0" } },
    { name: routerName(name), replicas: spec.traffic?.routerReplicas ?? 2, selector, template },
  );
}
