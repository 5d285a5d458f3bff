import type { ConfigMap } from "kubernetes-types/core/v1.js";
import type { RouterTrust } from "../../../lib/config/router-push.ts";
import { canonicalJson } from "../../engine/canonical.ts";
import type { KubeObject } from "../../engine/objects.ts";
import { REVISION_LABEL } from "../../engine/revisions.ts";
import { revisionConfigName, routerName } from "../names.ts";
import type { Plan, Situation } from "../plan.ts";
import { ROUTER_CONFIG_KEY } from "../read.ts";
import type { Revision } from "../revision.ts";
import { child } from "./child.ts";

/** What a revision's pods are told. Immutable: a pod that restarts a year later reads what it read at first. */
export function revisionConfig(situation: Situation, { name: revision, input }: Revision): KubeObject[] {
  if (input.config === undefined) return [];
  const { inference, fetches } = input.config;
  const data = {
    "inference.json": canonicalJson({ ...inference, revision }),
    ...Object.fromEntries(
      fetches.map((fetch, index) => [
        index === 0 ? "fetch.json" : `fetch-${index}.json`,
        canonicalJson(fetch),
      ]),
    ),
  };
  const object: ConfigMap & { metadata: { name: string } } = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: revisionConfigName(situation.name, revision),
      labels: { [REVISION_LABEL]: revision },
    },
    immutable: true,
    data,
  };
  return [child(situation, object)];
}

/**
 * What routers are told when they start; those that run are told by the operator itself. `trust.json` says by whose
 * signature they know it: here and not in the pods' environment, so that another key restarts no pod.
 */
export function routerConfigMap(situation: Situation, config: NonNullable<Plan["routerConfig"]>): KubeObject {
  const { name, namespace, owner, observed } = situation;
  const trust: RouterTrust = {
    owner: { namespace, name, uid: owner.metadata.uid ?? "" },
    publicKeys: [...observed.routerKeys],
  };
  const object: ConfigMap & { metadata: { name: string } } = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: routerName(name) },
    data: { [ROUTER_CONFIG_KEY]: canonicalJson(config), "trust.json": canonicalJson(trust) },
  };
  return child(situation, object);
}
