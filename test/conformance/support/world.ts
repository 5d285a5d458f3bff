import type { KubeObject } from "../../../operator/engine/objects.ts";
import type { ApiServer } from "../../support/api-server.ts";

const KINDS = [
  "apis/naru.dev/v1alpha1/%/modelservings",
  "api/v1/%/serviceaccounts",
  "api/v1/%/configmaps",
  "api/v1/%/services",
  "apis/apps/v1/%/controllerrevisions",
  "apis/apps/v1/%/deployments",
  "apis/autoscaling/v2/%/horizontalpodautoscalers",
  "apis/networking.k8s.io/v1/%/networkpolicies",
  "apis/policy/v1/%/poddisruptionbudgets",
];
const ADDRESSES = /"clusterIPs?":("[^"]*"|\[[^\]]*\]),?/g;
/** Hashes of what names the namespace or an identity; the content that they are of is compared itself. */
const HASHES = /(?<="naru\.dev\/applied":"|"generation":"|\\"generation\\":\\"|"digest":")\w+/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/**
 * What there is in a namespace of the kinds that a ModelServing has, by name, without what differs from one run to the
 * next: identities, times, versions, addresses, hashes of these, and the namespace's own name. Two worlds are the same when these are.
 */
export async function worldOf(server: ApiServer, namespace: string): Promise<Record<string, unknown>> {
  const world: Record<string, unknown> = {};
  for (const kind of KINDS) {
    const path = `/${kind.replace("%", `namespaces/${namespace}`)}`;
    const { status, body } = await server.request("GET", path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    for (const object of body.items as KubeObject[]) {
      const { name, uid = "", labels, annotations, ownerReferences } = object.metadata;
      const { metadata: _, ...content } = object;
      const kept = { ...content, metadata: { labels, annotations, ownerReferences } };
      const owner = ownerReferences?.[0]?.uid ?? uid;
      world[`${kind.split("/").at(-1)} ${name}`] = JSON.parse(
        JSON.stringify(kept)
          .replaceAll(ADDRESSES, "")
          .replaceAll(HASHES, "HASH")
          .replaceAll(owner, "UID")
          .replaceAll(namespace, "NAMESPACE")
          .replaceAll(TIME, "TIME"),
      );
    }
  }
  return world;
}
