import { keptRevisions } from "../../engine/revisions.ts";
import { revisionConfig } from "../children/config-map.ts";
import { commonLabels } from "../labels.ts";
import { revisionConfigName } from "../names.ts";
import type { Plan, Rule, Situation } from "../plan.ts";
import type { Revision } from "../revision.ts";

/** Keeps the inputs of what serves, of what is rolled out, and of the past; and the files that their pods read. */
export const keepRevisions: Rule = (situation, plan) => {
  const { owner, name, spec, observed, target } = situation;
  const inUse = revisionsInUse(situation, plan);
  const revisions = keptRevisions({
    owner,
    observed: observed.kept,
    current: target.input,
    inUse: inUse.map((revision) => revision.name),
    labels: commonLabels(name),
    limit: spec.revisionHistoryLimit,
  });
  const configs = inUse.flatMap((revision) => revisionConfig(situation, revision));
  return { children: [...plan.children, ...revisions, ...configs] };
};

/** Revisions that have pods or are to have some. A pod that is started again reads its files again. */
function revisionsInUse(situation: Situation, plan: Plan): Revision[] {
  const { observed, target, name } = situation;
  const named = [
    ...observed.pods.map((pod) => pod.revision),
    ...[...observed.workloads.values()].map((workload) => workload.revision),
  ].filter((revision) => revision !== undefined);
  const present = named.filter((revision) => observed.configMaps.has(revisionConfigName(name, revision)));
  const wanted = [target.name, plan.serving.name, plan.stable?.name, plan.canary?.revision];
  return [...new Set([...wanted, ...present])]
    .map((revision) => (revision === undefined ? undefined : situation.revision(revision)))
    .filter((revision) => revision !== undefined);
}
