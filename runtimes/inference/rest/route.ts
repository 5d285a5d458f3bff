/** What a URL of the Open Inference Protocol asks for. Pure, and on the way of every request: no regular expressions. */
export type Route =
  | {
      readonly kind: "infer" | "modelMetadata" | "modelReady" | "modelConfig" | "modelStatistics";
      readonly model: string;
      readonly version: string | undefined;
    }
  | { readonly kind: "load" | "unload"; readonly model: string }
  | { readonly kind: "serverMetadata" | "live" | "ready" | "allStatistics" | "index" };

const fixed: ReadonlyMap<string, Route> = new Map([
  ["/v2", { kind: "serverMetadata" }],
  ["/v2/health/live", { kind: "live" }],
  ["/v2/health/ready", { kind: "ready" }],
  ["/v2/models/stats", { kind: "allStatistics" }],
  ["/v2/repository/index", { kind: "index" }],
]);

const modelActions: ReadonlyMap<string, Exclude<Route["kind"], "load">> = new Map([
  ["", "modelMetadata"],
  ["infer", "infer"],
  ["ready", "modelReady"],
  ["config", "modelConfig"],
  ["stats", "modelStatistics"],
]);

/** Undefined where there is no such route. `url` is the request line's: a path, perhaps with a query. */
export function routeOf(url: string): Route | undefined {
  const query = url.indexOf("?");
  let path = query < 0 ? url : url.slice(0, query);
  if (path.length > 1 && path.endsWith("/")) path = path.slice(0, -1);
  const known = fixed.get(path);
  if (known !== undefined) return known;
  if (path.startsWith("/v2/models/")) return modelRoute(path.split("/"));
  if (path.startsWith("/v2/repository/models/")) return repositoryRoute(path.split("/"));
  return undefined;
}

/** /v2/models/NAME[/versions/VERSION][/ACTION] */
function modelRoute(parts: readonly string[]): Route | undefined {
  const model = decode(parts[3]);
  let next = 4;
  let version: string | undefined;
  if (parts[4] === "versions") {
    version = decode(parts[5]);
    if (version === undefined) return undefined;
    next = 6;
  }
  const kind = modelActions.get(parts[next] ?? "");
  if (model === undefined || kind === undefined || parts.length > next + 1) return undefined;
  return { kind, model, version } as Route;
}

/** /v2/repository/models/NAME/(load|unload) */
function repositoryRoute(parts: readonly string[]): Route | undefined {
  const model = decode(parts[4]);
  const kind = parts[5];
  if (model === undefined || parts.length !== 6 || (kind !== "load" && kind !== "unload")) return undefined;
  return { kind, model };
}

function decode(part: string | undefined): string | undefined {
  if (part === undefined || part === "") return undefined;
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
