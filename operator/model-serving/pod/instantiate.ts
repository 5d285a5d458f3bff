import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import { REVISION_LABEL } from "../../engine/revisions.ts";
import { commonLabels, type Role, selectorOf } from "../labels.ts";
import { revisionConfigName, type Track } from "../names.ts";
import { CONFIG_VOLUME } from "./serving-pod.ts";

/** A kept template as the pods of one track: names and labels that depend on revision and track are put in. */
export function instantiate(
  template: PodTemplateSpec,
  place: { name: string; revision: string; track: Track; role: Role; node?: string },
): PodTemplateSpec {
  const { name, revision, track, role, node } = place;
  const selector = selectorOf(name, role, track, node);
  const { spec } = template;
  if (spec === undefined) return template;
  const constraints = spec.topologySpreadConstraints;
  return {
    ...template,
    metadata: {
      ...template.metadata,
      labels: {
        ...commonLabels(name),
        ...selector,
        [REVISION_LABEL]: revision,
      },
      annotations: { ...template.metadata?.annotations, "checksum/revision": revision },
    },
    spec: {
      ...spec,
      ...(constraints === undefined
        ? {}
        : {
            topologySpreadConstraints: constraints.map((constraint) => ({
              ...constraint,
              labelSelector: { matchLabels: selector },
            })),
          }),
      ...(spec.volumes === undefined
        ? {}
        : {
            volumes: spec.volumes.map((volume) =>
              volume.name === CONFIG_VOLUME || volume.name.startsWith(`${CONFIG_VOLUME}-`)
                ? { ...volume, configMap: { ...volume.configMap, name: revisionConfigName(name, revision) } }
                : volume,
            ),
          }),
    },
  };
}
