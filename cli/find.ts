import { NaruError } from "../lib/errors.ts";
import type { KubeObject } from "../operator/engine/objects.ts";
import type { StandaloneClient } from "../operator/standalone/client.ts";
import type { KnownKind } from "./kinds.ts";

/** What every command that reads resources can be told. */
export interface TargetOptions {
  readonly dir?: string;
  readonly namespace: string;
}

/** @throws NaruError NotFound, which says what is there */
export async function findOne(
  client: StandaloneClient,
  kind: KnownKind,
  namespace: string,
  name: string,
): Promise<KubeObject> {
  const all = await client.list({ apiVersion: kind.apiVersion, kind: kind.kind, namespace });
  const found = all.find(({ metadata }) => metadata.name === name);
  if (found !== undefined) return found;
  const names = all.map(({ metadata }) => metadata.name);
  throw new NaruError({
    code: "NotFound",
    message: `${qualified(kind)} "${name}" not found in namespace "${namespace}"`,
    remedy:
      names.length === 0
        ? `there are no ${kind.plural} in it: look in all namespaces with naru get ${kind.plural} -A`
        : `there ${names.length === 1 ? "is" : "are"} ${names.slice(0, 10).join(", ")}`,
    status: 404,
  });
}

/** `modelservings.naru.dev`, `pods`: a kind as kubectl names it in errors. */
function qualified({ apiVersion, plural }: KnownKind): string {
  const [group, version] = apiVersion.split("/");
  return version === undefined ? plural : `${plural}.${group}`;
}
