import fs from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { messageOf } from "../../lib/errors.ts";
import type { KubeObject, ObjectKind } from "../engine/objects.ts";
import type { Store } from "./store.ts";
import { writeAtomically } from "./volumes.ts";

/** Writes each resource with its status as a YAML file, `modelserving-digits.yaml`, for people and for tools. */
export class StatusFiles {
  readonly #directory: string;
  readonly #log: (level: "warn", message: string) => void;
  readonly #watches: { stop(): void }[];
  #queue: Promise<void> = Promise.resolve();

  constructor(
    directory: string,
    kinds: readonly ObjectKind[],
    store: Store,
    log: (level: "warn", message: string) => void,
  ) {
    this.#directory = directory;
    this.#log = log;
    this.#watches = kinds.map((kind) =>
      store.watch(kind, ({ type, object }) => this.#enqueue(() => this.#write(object, type === "Deleted"))),
    );
  }

  /** Resolves when the last file is written. */
  async close(): Promise<void> {
    for (const watch of this.#watches) watch.stop();
    await this.#queue;
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue = this.#queue
      .then(task)
      .catch((error) => this.#log("warn", `status file: ${messageOf(error)}`));
  }

  async #write(object: KubeObject, deleted: boolean): Promise<void> {
    const { name, namespace = "default", managedFields: _, ...metadata } = object.metadata;
    const folder = namespace === "default" ? this.#directory : path.join(this.#directory, namespace);
    const file = path.join(folder, `${object.kind.toLowerCase()}-${name}.yaml`);
    if (deleted) await fs.rm(file, { force: true });
    else await writeAtomically(file, stringify({ ...object, metadata: { name, namespace, ...metadata } }));
  }
}
