import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from "yaml";
import type { KubeObject } from "../engine/objects.ts";
import { isObject } from "./fields.ts";

/** A kind's schema, as zod has it: what it answers is stored, defaults and all. */
export interface KindSchema {
  safeParse(
    value: unknown,
  ): { success: true; data: unknown } | { success: false; error: { issues: readonly SchemaIssue[] } };
}

export interface SchemaIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of an unrecognized field. */
  readonly keys?: readonly string[];
}

/** Schemas by `apiVersion/kind`, as `naru.dev/v1alpha1/ModelServing`. */
export type KindSchemas = ReadonlyMap<string, KindSchema>;

/** What is wrong with a file. Lines and columns count from 1. */
export interface FileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** The form that editors and terminals make a link of. */
export function describeProblem({ file, line, column, message }: FileProblem): string {
  return `${file}:${line}:${column}: ${message}`;
}

/** Kinds that a resource may refer to and a user may write beside it. */
const plainKinds = new Set(["v1/ConfigMap", "v1/Secret"]);
const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const maxIssues = 10;
const maxFileBytes = 4 * 1024 * 1024;

/** All resources of a YAML file, or what is wrong with it: a file with a mistake gives none. */
export function readDocuments(
  file: string,
  text: string,
  schemas: KindSchemas,
): { objects: KubeObject[]; problems: FileProblem[] } {
  const problems: FileProblem[] = [];
  const objects: KubeObject[] = [];
  if (text.length > maxFileBytes) {
    return { objects, problems: [{ file, line: 1, column: 1, message: "the file is larger than 4 MiB" }] };
  }
  const lines = new LineCounter();
  // Aliases are bounded by the library (maxAliasCount), so that a small file can't become a huge value.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  if (!Array.isArray(documents)) return { objects, problems };
  const problemAt = (offset: number, message: string) => {
    const { line, col } = lines.linePos(offset);
    problems.push({ file, line: Math.max(1, line), column: Math.max(1, col), message });
  };
  for (const document of documents) {
    for (const error of document.errors) problemAt(error.pos[0], error.message);
    if (document.errors.length > 0 || document.contents === null) continue;
    const start = document.contents.range?.[0] ?? 0;
    let value: unknown;
    try {
      value = document.toJS();
      refuseCycles(value, new Set());
    } catch (error) {
      problemAt(start, error instanceof Error ? error.message : String(error));
      continue;
    }
    // A document of nothing but comments.
    if (value === null) continue;
    const checked = checkDocument(absoluteUris(value, path.dirname(file)), schemas);
    for (const issue of checked.issues.slice(0, maxIssues)) {
      const where = issue.path.map(String).join(".");
      problemAt(
        offsetOf(document, issue.path) ?? start,
        where === "" ? issue.message : `${where}: ${issue.message}`,
      );
    }
    if (checked.object !== undefined) objects.push(checked.object);
  }
  return { objects: problems.length === 0 ? objects : [], problems };
}

/** An alias of what it stands in makes a value that nothing could be written from, or walked to its end. */
function refuseCycles(value: unknown, above: Set<object>): void {
  if (typeof value !== "object" || value === null) return;
  if (above.has(value)) throw new Error("an alias leads back into what holds it");
  above.add(value);
  for (const child of Object.values(value)) refuseCycles(child, above);
  above.delete(value);
}

function checkDocument(value: unknown, schemas: KindSchemas): { object?: KubeObject; issues: SchemaIssue[] } {
  if (!isObject(value)) return { issues: [{ path: [], message: "this is no Kubernetes resource" }] };
  for (const field of ["apiVersion", "kind"]) {
    if (typeof value[field] !== "string") return { issues: [{ path: [field], message: "must be given" }] };
  }
  const kind = `${value.apiVersion}/${value.kind}`;
  const schema = schemas.get(kind);
  if (schema === undefined && !plainKinds.has(kind)) {
    const known = [...schemas.keys(), ...plainKinds].join(", ");
    return { issues: [{ path: ["kind"], message: `naru up does not run ${kind}; it runs ${known}` }] };
  }
  const { status: _, ...written } = value;
  const parsed = schema?.safeParse(written) ?? { success: true, data: written };
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path: at, message, keys }) => ({
      path: [...at, ...(keys?.slice(0, 1) ?? [])],
      message,
    }));
    return { issues };
  }
  const object = parsed.data as KubeObject;
  const { name, namespace, labels, annotations } = isObject(object.metadata) ? object.metadata : {};
  if (typeof name !== "string") return { issues: [{ path: ["metadata", "name"], message: "must be given" }] };
  if (namespace !== undefined && (typeof namespace !== "string" || !dnsLabel.test(namespace))) {
    return {
      issues: [{ path: ["metadata", "namespace"], message: "must be lower-case letters, digits and -" }],
    };
  }
  for (const [field, map] of Object.entries({ labels, annotations })) {
    if (
      map !== undefined &&
      !(isObject(map) && Object.values(map).every((text) => typeof text === "string"))
    ) {
      return {
        issues: [{ path: ["metadata", field], message: "must be a map of strings; put numbers in quotes" }],
      };
    }
  }
  // What `kubectl get -o yaml` adds (uid, resourceVersion, owners) is not the user's to say.
  const own = Object.entries({ labels, annotations }).filter(([, map]) => map !== undefined);
  const metadata = { name, namespace: namespace ?? "default", ...Object.fromEntries(own) };
  return { object: { ...object, metadata }, issues: [] };
}

/** Where a field stands in the text, or the nearest thing around it that is there. */
function offsetOf(document: Document, at: readonly PropertyKey[]): number | undefined {
  for (let length = at.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(at.slice(0, length - 1), true);
    const key = at[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair !== undefined && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
    }
    const node = document.getIn(at.slice(0, length), true);
    if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range))
      return Number(node.range[0]);
  }
  return undefined;
}

/** `file://./model.onnx` and `file:model.onnx` are meant from where the YAML lies; whoever fetches it runs elsewhere. */
const relativeFile = /^file:(?:\/\/(?=\.{1,2}\/))?(?!\/)(.+)$/;

function absoluteUris(value: unknown, directory: string): unknown {
  if (Array.isArray(value)) return value.map((item) => absoluteUris(item, directory));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, child]) => {
      const relative =
        field === "uri" && typeof child === "string" ? relativeFile.exec(child)?.[1] : undefined;
      if (relative !== undefined) return [field, pathToFileURL(path.resolve(directory, relative)).href];
      return [field, absoluteUris(child, directory)];
    }),
  );
}
