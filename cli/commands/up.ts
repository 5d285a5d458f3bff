import type { Command } from "commander";

export function addUp(program: Command): void {
  program
    .command("up")
    .argument("<dir>", "folder of YAML files")
    .option("-v, --verbose", "tell what the controllers do", false)
    .summary("serve the resources of a folder on this machine")
    .description(
      "Serves every resource of a folder on this machine until Ctrl-C, with the controllers that run on Kubernetes. Edits of the files are followed. A second Ctrl-C stops at once.",
    )
    .action(async (dir: string, { verbose }: { verbose: boolean }) => {
      // The controllers load only here: every other command starts without them.
      const { serve } = await import("../serve.ts");
      await serve(dir, verbose);
    });
}
