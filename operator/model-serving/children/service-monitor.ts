import type { ModelServingSpec } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../engine/objects.ts";
import { SERVING_LABEL } from "../labels.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";

export const SERVICE_MONITOR = { apiVersion: "monitoring.coreos.com/v1", kind: "ServiceMonitor" } as const;

type Settings = NonNullable<NonNullable<ModelServingSpec["observability"]>["serviceMonitor"]>;

/** Has Prometheus read the pods of every Service of the resource: the main one's, and each track's behind a router. */
export function serviceMonitor(situation: Situation, settings: Settings): KubeObject {
  const { name, namespace, spec } = situation;
  const declared = spec.container?.metrics;
  const port = declared?.port === undefined ? "http" : "metrics";
  const interval = `${settings.intervalSeconds}s`;
  const own = { targetPort: "admin", path: "/metrics", interval };
  const container = { targetPort: port, path: declared?.path ?? "/metrics", interval };
  return child(situation, {
    ...SERVICE_MONITOR,
    metadata: { name, ...(settings.labels === undefined ? {} : { labels: settings.labels }) },
    spec: {
      namespaceSelector: { matchNames: [namespace] },
      selector: { matchLabels: { [SERVING_LABEL]: name } },
      endpoints: declared === undefined ? [own] : [own, container],
    },
  });
}
