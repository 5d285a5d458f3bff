import fs from "node:fs/promises";
import type { Command } from "commander";

export function addVersion(program: Command): void {
  program
    .command("version")
    .option("-o, --output <format>", "json")
    .summary("print the version")
    .action(async ({ output }: { output?: string }) => {
      const version = await naruVersion();
      console.log(
        output === "json"
          ? JSON.stringify({ naru: version, node: process.version }, null, 4)
          : `naru ${version} (Node.js ${process.version})`,
      );
    });
}

/** From the package.json of this installation: beside `cli`, or above `dist`. */
async function naruVersion(): Promise<string> {
  for (const above of ["../../package.json", "../../../package.json"]) {
    const text = await fs.readFile(new URL(above, import.meta.url), "utf8").catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    });
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  throw new Error("package.json is missing from this installation");
}
