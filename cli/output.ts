import { stringify } from "yaml";
import type { KubeObject } from "../operator/engine/objects.ts";
import { type KnownKind, shortRef, usage } from "./kinds.ts";
import { cellOf, formatTable } from "./table.ts";

export const OUTPUTS = ["json", "yaml", "wide", "name"] as const;
export type Output = (typeof OUTPUTS)[number];

/** @throws NaruError Usage */
export function outputOf(text: string): Output {
  const found = OUTPUTS.find((output) => output === text);
  if (found === undefined) throw usage(`-o ${text} is not known`, `use one of ${OUTPUTS.join(", ")}`);
  return found;
}

/** Objects as kubectl prints them: one alone, several in a List. */
export function formatObjects(
  objects: readonly KubeObject[],
  output: "json" | "yaml" | "name",
  single: boolean,
): string {
  if (output === "name") return objects.map(shortRef).join("\n");
  const [first] = objects;
  const whole = single && first !== undefined ? shown(first) : listOf(objects);
  return output === "json" ? JSON.stringify(whole, null, 4) : stringify(whole).trimEnd();
}

/** Field managers are noise to a reader; kubectl leaves them out as well. */
function shown(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function listOf(objects: readonly KubeObject[]) {
  return { apiVersion: "v1", kind: "List", metadata: {}, items: objects.map(shown) };
}

/** The table of `get`, with the columns of the kind's CustomResourceDefinition. */
export function objectTable(
  objects: readonly KubeObject[],
  kind: KnownKind,
  options: { wide: boolean; namespaces: boolean; now: Date },
): string {
  const { wide, namespaces, now } = options;
  const columns = kind.columns.filter(({ priority = 0 }) => wide || priority === 0);
  return formatTable(
    [...(namespaces ? ["Namespace"] : []), "Name", ...columns.map(({ name }) => name)],
    objects.map((object) => [
      ...(namespaces ? [object.metadata.namespace ?? ""] : []),
      object.metadata.name,
      ...columns.map((column) => cellOf(object, column, now)),
    ]),
  );
}
