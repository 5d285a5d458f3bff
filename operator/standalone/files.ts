import fs from "node:fs";
import path from "node:path";
import { messageOf } from "../../lib/errors.ts";
import type { KubeObject } from "../engine/objects.ts";
import { refKey, refOf } from "../engine/objects.ts";
import { describeProblem, type FileProblem, type KindSchemas, readDocuments } from "./documents.ts";
import type { Store } from "./store.ts";

/** Field manager of what stands in files. */
const filesManager = "naru-files";
/** The file that a resource comes from. */
export const sourceAnnotation = "standalone.naru.dev/file";

export interface ResourceFilesOptions {
  /** Absolute. YAML and JSON files in it are read; folders in it are not. */
  dir: string;
  schemas: KindSchemas;
  store: Store;
  log(level: "info" | "warn" | "error", message: string): void;
  /** A file is read when it has not changed for so long: half of it is not yet it. */
  settleMilliseconds: number;
  /** A resource is deleted when it has been missing for so long: editors take files away to put them back. */
  goneMilliseconds: number;
  /** Looked at in any case; some file systems tell nothing. */
  pollMilliseconds: number;
}

interface KnownFile {
  /** What tells one content from another without reading it. */
  signature: string;
  since: number;
  done: boolean;
  /** Of the last good version, by reference. */
  objects: Map<string, KubeObject>;
  problems: FileProblem[];
  /** It is gone, and its objects were kept, which was told. */
  kept: boolean;
}

const absent = "absent";

/** Undefined for what is no file. One that can't be looked at (a link to itself) is its own problem and no other file's. */
function signatureOf(file: string): string | undefined {
  try {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    return stat?.isFile() ? `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * The user's files as a field manager of the store: adding, editing and removing them is `kubectl apply` and
 * `delete`. A file that can't be read, parsed or validated leaves its last good version in force.
 */
export class ResourceFiles {
  readonly #options: ResourceFilesOptions;
  readonly #files = new Map<string, KnownFile>();
  #watcher: fs.FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #dirProblem = "";

  constructor(options: ResourceFilesOptions) {
    this.#options = options;
  }

  /** Reads everything once, deletes what earlier lives had of files that are gone, and follows from then on. */
  start(): void {
    const { dir, store } = this.#options;
    try {
      this.#watcher = fs.watch(dir, { persistent: false }, () =>
        this.#look(this.#options.settleMilliseconds),
      );
      this.#watcher.on("error", (error) => this.#notWatching(error));
    } catch (error) {
      this.#notWatching(error);
    }
    for (const object of store.all()) {
      const source = object.metadata.annotations?.[sourceAnnotation];
      if (source !== undefined)
        this.#fileNamed(path.join(dir, source)).objects.set(refKey(refOf(object)), object);
    }
    this.#scan(true);
  }

  /** What is known of a file; of one that was never seen, that it is absent. */
  #fileNamed(name: string): KnownFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = { signature: absent, since: 0, done: false, kept: false, objects: new Map(), problems: [] };
    this.#files.set(name, file);
    return file;
  }

  problems(): FileProblem[] {
    return [...this.#files.values()].flatMap((file) => file.problems);
  }

  close(): void {
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  /** Watches are a limited good (inotify's max_user_watches), and only make a change seen sooner. */
  #notWatching(error: unknown): void {
    const { dir, log, pollMilliseconds } = this.#options;
    log(
      "warn",
      `${dir} can't be watched, so it is looked at every ${pollMilliseconds} ms: ${messageOf(error)}`,
    );
  }

  /** Looks again after so long at the latest: files that change all the time must not put it off for ever. */
  #look(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#scan(false), milliseconds);
  }

  #scan(first: boolean): void {
    const { settleMilliseconds, goneMilliseconds, pollMilliseconds } = this.#options;
    this.#due = Number.POSITIVE_INFINITY;
    const present = this.#signatures();
    if (present !== undefined) {
      const now = performance.now();
      // Those that are there come first: what moved from one file to another has its new one when the old is forgotten.
      for (const name of new Set([...present.keys(), ...this.#files.keys()])) {
        const signature = present.get(name) ?? absent;
        const file = this.#fileNamed(name);
        if (file.signature !== signature) {
          Object.assign(file, { signature, since: now, done: false, kept: false });
          if (signature === absent) this.#readRefusedAgain();
        }
        const stable = first ? Number.POSITIVE_INFINITY : now - file.since;
        if (file.done || stable < settleMilliseconds) continue;
        if (signature === absent) file.done = stable >= goneMilliseconds && this.#forget(name, file);
        else file.done = this.#take(name, file, stable >= goneMilliseconds);
      }
    }
    const waiting = [...this.#files.values()].some((file) => !file.done && !file.kept);
    this.#look(waiting ? Math.min(settleMilliseconds, pollMilliseconds) : pollMilliseconds);
  }

  /** Path → signature, or undefined where the folder can't be listed: that is no deletion of what is in it. */
  #signatures(): Map<string, string> | undefined {
    const { dir, log } = this.#options;
    const found = new Map<string, string>();
    try {
      for (const name of fs.readdirSync(dir)) {
        if (name.startsWith(".") || !/\.(ya?ml|json)$/.test(name)) continue;
        const signature = signatureOf(path.join(dir, name));
        if (signature !== undefined) found.set(path.join(dir, name), signature);
      }
      this.#dirProblem = "";
      return found;
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== this.#dirProblem)
        log("error", `${dir} can't be read; its resources stay as they are: ${problem}`);
      this.#dirProblem = problem;
      return undefined;
    }
  }

  /** A file that was renamed and broken in one go looks like one that is gone: a deletion waits until all can be read. */
  #forget(name: string, file: KnownFile): boolean {
    const unread = [...this.#files].find(
      ([, other]) => other.objects.size === 0 && other.problems.length > 0,
    );
    if (unread !== undefined && file.objects.size > 0) {
      if (!file.kept) {
        const successor = path.basename(unread[0]);
        this.#options.log(
          "warn",
          `${path.basename(name)} is gone; what it held stays for now, since ${successor} may hold it and has a mistake: repair it or remove it`,
        );
      }
      file.kept = true;
      return false;
    }
    for (const [key, object] of file.objects) this.#leave(name, key, object);
    this.#files.delete(name);
    return true;
  }

  /** Takes a file's content over; answers whether it is done with, which a resource that just left it is not. */
  #take(name: string, file: KnownFile, settled: boolean): boolean {
    const { schemas, store, log, dir } = this.#options;
    const report = (problems: FileProblem[]) => {
      const before = file.problems.map(describeProblem);
      file.problems = problems;
      for (const line of problems.map(describeProblem)) if (!before.includes(line)) log("error", line);
    };
    const fail = (message: string, line = 1) => report([{ file: name, line, column: 1, message }]);
    let text: string;
    try {
      text = fs.readFileSync(name, "utf8");
    } catch (error) {
      fail(messageOf(error));
      return true;
    }
    const { objects, problems } = readDocuments(name, text, schemas);
    if (problems.length > 0) {
      report(problems);
      return true;
    }
    if (objects.length === 0 && file.objects.size > 0) {
      fail("the file holds no resource any more; what it held stays until you remove the file");
      return true;
    }
    const next = new Map(objects.map((object) => [refKey(refOf(object)), object]));
    for (const [key, object] of next) {
      const holder = this.#holderOf(key);
      const other = holder === undefined || holder === name || this.#files.get(holder)?.signature === absent;
      if (!other) {
        fail(`${object.kind} ${object.metadata.name} is in ${path.basename(holder)} already`);
        return true;
      }
    }
    if (next.size < objects.length) {
      fail("two documents of the file have the same kind and name");
      return true;
    }
    report([]);
    for (const [key, object] of next) {
      const annotations = { ...object.metadata.annotations, [sourceAnnotation]: path.relative(dir, name) };
      try {
        store.apply({ ...object, metadata: { ...object.metadata, annotations } }, filesManager);
        file.objects.set(key, object);
      } catch (error) {
        fail(messageOf(error));
      }
    }
    const left = [...file.objects].filter(([key]) => !next.has(key));
    if (!settled) return left.length === 0;
    for (const [key, object] of left) {
      file.objects.delete(key);
      this.#leave(name, key, object);
    }
    return true;
  }

  #holderOf(key: string): string | undefined {
    return [...this.#files].find(([, file]) => file.objects.has(key))?.[0];
  }

  /** Deletes what a file no longer holds, unless another file has taken it over. */
  #leave(name: string, key: string, object: KubeObject): void {
    const taken = [...this.#files].some(([other, file]) => other !== name && file.objects.has(key));
    if (taken) return;
    this.#options.store.delete(refOf(object));
    this.#readRefusedAgain();
  }

  /** A file that was refused because of what another holds may now have it. */
  #readRefusedAgain(): void {
    for (const file of this.#files.values()) {
      if (file.problems.length > 0 && file.signature !== absent) file.done = false;
    }
  }
}
