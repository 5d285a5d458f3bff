import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/**
 * Which processes are ours, on disk: one file a process, named by its pid, holding what tells it from a later
 * process of the same pid. What a killed `naru up` left behind is ended at the next start.
 */
export class ProcessRegister {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    fs.mkdirSync(directory, { recursive: true });
  }

  add(pid: number): void {
    const identity = identityOf(pid);
    if (identity !== undefined) fs.writeFileSync(this.#file(pid), identity);
  }

  remove(pid: number): void {
    fs.rmSync(this.#file(pid), { force: true });
  }

  /** Kills what is left of an earlier life. Its clients are gone: their way to it was the dead `naru up`. */
  reap(): number[] {
    const killed: number[] = [];
    for (const name of fs.readdirSync(this.#directory)) {
      const pid = Number(name);
      if (Number.isInteger(pid) && pid > 1 && identityOf(pid) === fs.readFileSync(this.#file(pid), "utf8")) {
        killGroup(pid);
        killed.push(pid);
      }
      fs.rmSync(path.join(this.#directory, name), { force: true });
    }
    return killed;
  }

  #file(pid: number): string {
    return path.join(this.#directory, String(pid));
  }
}

/** SIGKILL to a process that leads a group, and to all of its group; gone already is success. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // macOS says EPERM where nothing but zombies is left.
    if (!["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** What no other process ever has: the boot and the moment a pid was given out. Undefined: there is no such pid. */
export function identityOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      // The command in parentheses may hold spaces; the start time is field 22, the 20th after it.
      const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" ? undefined : `${boot} ${fields[19]}`;
    }
    const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return started === "" ? undefined : started;
  } catch {
    // No such process: /proc has no entry, ps exits 1.
    return undefined;
  }
}
