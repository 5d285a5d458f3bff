import fs from "node:fs/promises";
import path from "node:path";
import type { ModelServing } from "../crds/model-serving.ts";
import { messageOf, NaruError } from "../lib/errors.ts";
import { refKey, refOf } from "../operator/engine/objects.ts";
import { refusalOf } from "../operator/model-serving/rules/refusal.ts";
import { type FileProblem, readDocuments } from "../operator/standalone/documents.ts";
import { shortRef } from "./kinds.ts";
import { schemas } from "./schemas.ts";

/** @throws NaruError NoSuchFile, NoResources */
export async function filesOf(given: string): Promise<string[]> {
  const stat = await fs.stat(given).catch((error: unknown) => {
    throw new NaruError({
      code: "NoSuchFile",
      message: `${given}: ${messageOf(error)}`,
      remedy: "give a file or a folder that is there",
      status: 404,
    });
  });
  if (!stat.isDirectory()) return [given];
  // As naru up: neither hidden files nor folders.
  const names = (await fs.readdir(given, { withFileTypes: true }))
    .filter(
      (entry) => !entry.isDirectory() && !entry.name.startsWith(".") && /\.(ya?ml|json)$/.test(entry.name),
    )
    .map(({ name }) => name)
    .sort();
  if (names.length > 0) return names.map((name) => path.join(given, name));
  throw new NaruError({
    code: "NoResources",
    message: `${given} has no YAML or JSON file`,
    remedy: "give the folder that holds the files itself; folders below it are not read",
    status: 404,
  });
}

/**
 * What is wrong with a file; what is right is printed. `taken`: which file a resource came from, of those that were
 * checked before; `naru up` takes each from one file of its folder only.
 */
export async function checkFile(file: string, taken: Map<string, string>): Promise<FileProblem[]> {
  let text: string;
  try {
    text = await fs.readFile(file, "utf8");
  } catch (error) {
    return [{ file, line: 1, column: 1, message: messageOf(error) }];
  }
  const { objects, problems } = readDocuments(file, text, schemas);
  const twice = objects.flatMap((object) => {
    const key = `${path.dirname(file)}:${refKey(refOf(object))}`;
    const other = taken.get(key);
    if (other === undefined) taken.set(key, file);
    return other === undefined
      ? []
      : [{ file, line: 1, column: 1, message: `${shortRef(object)} is in ${other} already` }];
  });
  const refused = objects.flatMap((object) => {
    const refusal =
      object.kind === "ModelServing" ? refusalOf((object as unknown as ModelServing).spec) : undefined;
    if (refusal === undefined) return [];
    return [{ file, line: 1, column: 1, message: `${shortRef(object)}: ${refusal.message}` }];
  });
  if (problems.length + refused.length + twice.length === 0) {
    for (const object of objects) console.log(`${shortRef(object)} in ${file} is valid`);
  }
  return [...problems, ...twice, ...refused];
}
