import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";

const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const root = resolve(import.meta.dirname, "..");

export const CHART = join(root, "charts/naru");
/** What is said where helm is missing. */
export const NO_HELM = "there is no helm on PATH or in the folder that KUBEBUILDER_ASSETS names";

/** Path of a program on PATH or beside the API server's; undefined where there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [process.env.KUBEBUILDER_ASSETS ?? "", ...(process.env.PATH ?? "").split(delimiter)];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** Runs helm and answers what it printed. Rejects with what it said on standard error. */
export async function runHelm(
  helm: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(helm, args, {
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...process.env, ...env },
  });
  return stdout;
}

/**
 * The chart's objects as text, without the notes of where each comes from and helm's own blank lines, so that two
 * versions of helm give the same.
 */
export async function renderChart(helm: string, args: readonly string[]): Promise<string> {
  const text = await runHelm(helm, ["template", "naru", CHART, "--namespace", "naru-system", ...args]);
  return text
    .split(/^---$/m)
    .map((document) => document.replaceAll(/^# Source: .*$/gm, "").trim())
    .filter((document) => document !== "")
    .join("\n---\n")
    .concat("\n");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Absent or not to be run: the next folder is asked.
    return false;
  }
}
