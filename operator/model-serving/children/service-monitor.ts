import type { ModelServingSpec } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../engine/objects.ts";
import { NODE_LABEL, ROLE_LABEL, type Role, SERVING_LABEL } from "../labels.ts";
import type { Container } from "../model-source.ts";
import type { Situation } from "../plan.ts";
import { metricsPortName } from "../pod/serving-pod.ts";
import { child } from "./child.ts";

export const SERVICE_MONITOR = { apiVersion: "monitoring.coreos.com/v1", kind: "ServiceMonitor" } as const;

type Settings = NonNullable<NonNullable<ModelServingSpec["observability"]>["serviceMonitor"]>;

/** Has Prometheus read the pods of every Service of the resource: the main one's, and each track's behind a router. */
export function serviceMonitor(situation: Situation, settings: Settings): KubeObject {
  const { name, namespace, spec } = situation;
  const interval = `${settings.intervalSeconds}s`;
  const steps = (spec.graph?.nodes ?? []).flatMap(({ name: node, container }) =>
    containerEndpoint(container, "step", node),
  );
  return child(situation, {
    ...SERVICE_MONITOR,
    metadata: { name, ...(settings.labels === undefined ? {} : { labels: settings.labels }) },
    spec: {
      namespaceSelector: { matchNames: [namespace] },
      selector: { matchLabels: { [SERVING_LABEL]: name } },
      // What the dashboards and alerts of the chart group by.
      targetLabels: [SERVING_LABEL],
      endpoints: [
        // Pods without a port of this name, a user's own servers, are none of its targets.
        { targetPort: "admin", path: "/metrics" },
        ...containerEndpoint(spec.container, "inference"),
        ...steps,
      ].map((endpoint) => ({ ...endpoint, interval })),
    },
  });
}

/** A user's own server may use a port name that our pods have as well, so its pods are picked by their labels. */
function containerEndpoint(container: Container | undefined, role: Role, node?: string) {
  const targetPort = container === undefined ? undefined : metricsPortName(container);
  if (targetPort === undefined) return [];
  const relabelings = [keep(ROLE_LABEL, role), ...(node === undefined ? [] : [keep(NODE_LABEL, node)])];
  return [{ targetPort, path: container?.metrics?.path ?? "/metrics", relabelings }];
}

/** Prometheus writes what can't be in a label's name as `_`. */
function keep(label: string, value: string) {
  const sourceLabels = [`__meta_kubernetes_pod_label_${label.replace(/[^a-zA-Z0-9_]/g, "_")}`];
  return { action: "keep", sourceLabels, regex: value };
}
