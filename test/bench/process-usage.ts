import { readdirSync, readFileSync } from "node:fs";

/** Linux counts CPU time of a process in hundredths of a second (USER_HZ). */
const TICK_MICROSECONDS = 10_000;

/** A process and all that it started, by /proc. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = statFields(pid)?.[1];
    if (parent !== undefined) parents.set(pid, Number(parent));
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** CPU time that the processes have used so far, in microseconds. */
export function cpuMicroseconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MICROSECONDS;
}

/** Resident memory of the processes, in MB. */
export function residentMegabytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    try {
      kilobytes += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    } catch (error) {
      ignoreGone(error);
    }
  }
  return kilobytes / 1024;
}

/** The fields of /proc/PID/stat that follow the name: [0] state, [1] parent, [11] user ticks, [12] system ticks. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    ignoreGone(error);
    return undefined;
  }
}

/** A process may end between being listed and being read. */
function ignoreGone(error: unknown): void {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
    return;
  throw error;
}
