import type { Command } from "commander";
import { NaruError } from "../../lib/errors.ts";
import type { FileProblem } from "../../operator/standalone/documents.ts";

export function addValidate(program: Command): void {
  program
    .command("validate")
    .argument("<path...>", "files, or folders of them")
    .summary("check YAML files as an API server and the controllers would")
    .description(
      "Checks resources in files against the schema, its rules, and what only a controller refuses (a graph with a cycle), and names file, line and column. Exit code 1 if anything is wrong.",
    )
    .action(async (paths: string[]) => {
      // The schemas load only here: most commands need none.
      const { checkFile, filesOf } = await import("../check-files.ts");
      const { describeProblem } = await import("../../operator/standalone/documents.ts");
      const files = new Set((await Promise.all(paths.map(filesOf))).flat());
      const taken = new Map<string, string>();
      const problems: FileProblem[] = [];
      // One after the other: which of two files held a resource first must not be a matter of chance.
      for (const file of files) problems.push(...(await checkFile(file, taken)));
      for (const problem of problems) console.error(describeProblem(problem));
      if (problems.length > 0) {
        throw new NaruError({
          code: "InvalidResource",
          message: `${problems.length} ${problems.length === 1 ? "mistake" : "mistakes"} in ${new Set(problems.map(({ file }) => file)).size} of ${files.size} files`,
          remedy: "correct what is named; docs/reference/modelserving.md has every field",
          status: 422,
        });
      }
    });
}
