import type { ApiServer } from "../../support/api-server.ts";

const WRITES = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];
/** What a reconcile may touch: ModelServings, their children, and Events about them. */
const RESOURCES = [
  "modelservings",
  "controllerrevisions",
  "configmaps",
  "serviceaccounts",
  "services",
  "deployments",
  "poddisruptionbudgets",
  "networkpolicies",
  "pods",
  "events",
];

/** Requests that the API server has counted (`apiserver_request_total`) since it started. */
export interface ApiRequests {
  readonly writes: number;
  /** Reads of single objects; listings and watches are not in it. */
  readonly reads: number;
}

export async function apiRequests(server: ApiServer): Promise<ApiRequests> {
  const { body } = await server.request("GET", "/metrics");
  let writes = 0;
  let reads = 0;
  for (const line of String(body.text).split("\n")) {
    if (!line.startsWith("apiserver_request_total{")) continue;
    const labels = line.slice(0, line.lastIndexOf("}"));
    const of = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
    if (!RESOURCES.includes(of("resource"))) continue;
    const count = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (WRITES.includes(of("verb"))) writes += count;
    else if (of("verb") === "GET") reads += count;
  }
  return { writes, reads };
}
