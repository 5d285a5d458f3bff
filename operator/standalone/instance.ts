import fs from "node:fs";
import path from "node:path";
import { NaruError } from "../../lib/errors.ts";
import { identityOf } from "./orphans.ts";

/** Who runs a folder: written when `naru up` starts, removed when it ends. */
export interface Instance {
  readonly pid: number;
  /** Tells the process from a later one of the same pid. */
  readonly identity: string;
  /** The unix socket of its API. */
  readonly socket: string;
}

function fileOf(stateDir: string): string {
  return path.join(stateDir, "up.json");
}

function readInstance(file: string): Instance | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Instance;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive(instance: Instance): boolean {
  return identityOf(instance.pid) === instance.identity;
}

/** The `naru up` that runs the folder now, or undefined. */
export function runningInstance(stateDir: string): Instance | undefined {
  const instance = readInstance(fileOf(stateDir));
  return instance !== undefined && isAlive(instance) ? instance : undefined;
}

/**
 * Makes this process the one that runs the folder, in place of one that died.
 * @throws NaruError AlreadyRunning
 */
export function claimInstance(stateDir: string, socket: string): { release(): void } {
  const file = fileOf(stateDir);
  const mine: Instance = { pid: process.pid, identity: identityOf(process.pid) ?? "", socket };
  // Written whole and then linked into place: whoever sees the file sees all of it, and only one link succeeds.
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    for (;;) {
      try {
        fs.linkSync(draft, file);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const other = runningInstance(stateDir);
      if (other !== undefined) {
        throw new NaruError({
          code: "AlreadyRunning",
          message: `naru up runs this folder already, as process ${other.pid}`,
          remedy: `end it first (kill ${other.pid}), or give this one another folder`,
          status: 409,
        });
      }
      removeDead(file);
    }
  } finally {
    fs.rmSync(draft, { force: true });
  }
  return { release: () => fs.rmSync(file, { force: true }) };
}

/** Takes a dead one's file away; if somebody alive has replaced it meanwhile, theirs is put back. */
function removeDead(file: string): void {
  const aside = `${file}.${process.pid}.dead`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const instance = readInstance(aside);
  if (instance !== undefined && isAlive(instance)) {
    fs.renameSync(aside, file);
    return;
  }
  fs.rmSync(aside);
  if (instance === undefined) return;
  fs.rmSync(instance.socket, { force: true });
  try {
    fs.rmdirSync(path.dirname(instance.socket));
  } catch (error) {
    // Gone, or not empty: then it was not made for the socket.
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
