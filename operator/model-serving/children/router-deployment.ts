import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import { commonLabels, selectorOf } from "../labels.ts";
import { routerName } from "../names.ts";
import type { Plan, Situation } from "../plan.ts";
import { placement } from "../pod/pod-settings.ts";
import { CONFIG_DIR, runtimeServer } from "../pod/runtime-container.ts";
import { RESTRICTED_POD } from "../pod/security.ts";
import { servingDeployment } from "./deployment.ts";

const STARTUP_SECONDS = 600;

/**
 * The routers. Their image is that of the stable revision: like the serving pods, they are not restarted by an
 * operator upgrade. Nothing of their pods depends on their configuration, which the operator sends them.
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
    metadata: { labels: { ...commonLabels(name), ...selector } },
    spec: {
      containers: [
        {
          ...server,
          resources: { requests: { cpu: "100m", memory: "128Mi" } },
          volumeMounts: [
            { name: "config", mountPath: CONFIG_DIR, readOnly: true },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
      volumes: [
        { name: "config", configMap: { name: routerName(name) } },
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
