import fs from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import type { ModelServing } from "../../crds/model-serving.ts";
import { messageOf, NaruError } from "../../lib/errors.ts";
import { refusalOf } from "../../operator/model-serving/rules/refusal.ts";
import { describeProblem, type FileProblem, readDocuments } from "../../operator/standalone/documents.ts";
import { schemas, shortRef } from "../kinds.ts";

export function addValidate(program: Command): void {
  program
    .command("validate")
    .argument("<path...>", "files, or folders of them")
    .summary("check YAML files as an API server and the controllers would")
    .description(
      "Checks resources in files against the schema, its rules, and what only a controller refuses (a graph with a cycle), and names file, line and column. Exit code 1 if anything is wrong.",
    )
    .action(async (paths: string[]) => {
      const files = (await Promise.all(paths.map(filesOf))).flat();
      const problems = (await Promise.all(files.map(check))).flat();
      for (const problem of problems) console.error(describeProblem(problem));
      if (problems.length > 0) {
        throw new NaruError({
          code: "InvalidResource",
          message: `${problems.length} ${problems.length === 1 ? "mistake" : "mistakes"} in ${new Set(problems.map(({ file }) => file)).size} of ${files.length} files`,
          remedy: "correct what is named; docs/reference/modelserving.md has every field",
          status: 422,
        });
      }
    });
}

/** @throws NaruError NoSuchFile, NoResources */
async function filesOf(given: string): Promise<string[]> {
  const stat = await fs.stat(given).catch((error: unknown) => {
    throw new NaruError({
      code: "NoSuchFile",
      message: `${given}: ${messageOf(error)}`,
      remedy: "give a file or a folder that is there",
      status: 404,
    });
  });
  if (!stat.isDirectory()) return [given];
  const names = (await fs.readdir(given)).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  if (names.length > 0) return names.map((name) => path.join(given, name));
  throw new NaruError({
    code: "NoResources",
    message: `${given} has no YAML or JSON file`,
    remedy: "give the folder that holds the files itself; folders below it are not read",
    status: 404,
  });
}

async function check(file: string): Promise<FileProblem[]> {
  const { objects, problems } = readDocuments(file, await fs.readFile(file, "utf8"), schemas);
  const refused = objects.flatMap((object) => {
    const refusal =
      object.kind === "ModelServing" ? refusalOf((object as unknown as ModelServing).spec) : undefined;
    if (refusal === undefined) return [];
    return [{ file, line: 1, column: 1, message: `${shortRef(object)}: ${refusal.message}` }];
  });
  if (problems.length + refused.length === 0) {
    for (const object of objects) console.log(`${shortRef(object)} in ${file} is valid`);
  }
  return [...problems, ...refused];
}
