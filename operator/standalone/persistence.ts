import fs from "node:fs";
import path from "node:path";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { KubeObject } from "../engine/objects.ts";
import { deploymentKind } from "./deployments.ts";
import { type JobStatus, jobKind } from "./jobs.ts";
import { podKind } from "./pod-types.ts";
import type { Store } from "./store.ts";

const saveDelayMilliseconds = 200;
/** What could not be written is tried again, or a disk that was full once leaves an old state for the next start. */
const retryMilliseconds = 2_000;

/** What outlives `naru up`: all but the pods, and without the status that only running pods make true. */
function lasting(object: KubeObject): KubeObject[] {
  if (object.kind === podKind.kind || object.metadata.deletionTimestamp !== undefined) return [];
  const finished =
    object.kind === jobKind.kind && (object.status as JobStatus | undefined)?.conditions !== undefined;
  if (object.kind !== deploymentKind.kind && (object.kind !== jobKind.kind || finished)) return [object];
  const { status: _, ...rest } = object;
  return [rest];
}

function objectsFile(stateDir: string): string {
  return path.join(stateDir, "objects.json");
}

/** @throws NaruError StateUnreadable */
export function readObjects(stateDir: string): KubeObject[] {
  const file = objectsFile(stateDir);
  if (!fs.existsSync(file)) return [];
  try {
    return (JSON.parse(fs.readFileSync(file, "utf8")) as { objects: KubeObject[] }).objects;
  } catch (error) {
    throw new NaruError({
      code: "StateUnreadable",
      message: `${file}: ${messageOf(error)}`,
      remedy: `remove ${file}; the resources are read from their files again, and only their history is lost`,
      cause: error,
    });
  }
}

/** Keeps the store's objects in one file, written a moment after each change and at the end. */
export class Persistence {
  readonly #stateDir: string;
  readonly #store: Store;
  readonly #log: (level: "error", message: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #problem = "";
  #closed = false;

  constructor(stateDir: string, store: Store, log: (level: "error", message: string) => void) {
    this.#stateDir = stateDir;
    this.#store = store;
    this.#log = log;
    store.restore(readObjects(stateDir));
    store.onChange = () => {
      this.#timer ??= setTimeout(() => this.#save(), saveDelayMilliseconds);
    };
  }

  close(): void {
    this.#store.onChange = () => undefined;
    this.#closed = true;
    this.#save();
  }

  #save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const file = objectsFile(this.#stateDir);
    try {
      const text = JSON.stringify({ objects: this.#store.all().flatMap(lasting) });
      fs.writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
      fs.renameSync(`${file}.tmp`, file);
      this.#problem = "";
    } catch (error) {
      const problem = `${file}: ${messageOf(error)}`;
      if (problem !== this.#problem) this.#log("error", problem);
      this.#problem = problem;
      if (!this.#closed) this.#timer = setTimeout(() => this.#save(), retryMilliseconds);
    }
  }
}
