import type { Command } from "commander";
import { naruVersion } from "../../lib/process/version.ts";
import { versionText } from "../version.ts";

export function addVersion(program: Command): void {
  program
    .command("version")
    .option("-o, --output <format>", "json")
    .summary("print the version")
    .action(({ output }: { output?: string }) => {
      console.log(
        output === "json"
          ? JSON.stringify({ naru: naruVersion(), node: process.version }, null, 4)
          : versionText(),
      );
    });
}
