import { spawnSync } from "node:child_process";

const taskset = spawnSync("taskset", ["--version"]).status === 0;

/** Whether servers and load have a core each; without `taskset` they share what there is, and the table says so. */
export const isPinned = taskset;

/** The command held to the servers' core (0) or to the load's (1). */
export function pinned(
  role: "server" | "load",
  command: string,
  args: readonly string[],
): [string, string[]] {
  return taskset
    ? ["taskset", ["-c", role === "server" ? "0" : "1", command, ...args]]
    : [command, [...args]];
}
