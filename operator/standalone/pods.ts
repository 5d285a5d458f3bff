import fs from "node:fs";
import path from "node:path";
import { messageOf } from "../../lib/errors.ts";
import { refOf } from "../engine/objects.ts";
import type { ProcessRegister } from "./orphans.ts";
import { RunningPod } from "./pod.ts";
import { asPod, type Pod, podKind } from "./pod-types.ts";
import type { PortPool } from "./ports.ts";
import type { Store } from "./store.ts";
import type { Images } from "./supported.ts";

/** JSON of declared port → allocated port, for Services whose targetPort is a number. */
export const declaredPortsAnnotation = "standalone.naru.dev/declared-ports";

export interface PodsOptions {
  store: Store;
  ports: PortPool;
  register: ProcessRegister;
  images: Images;
  hostsFile: string;
  /** Where pods' own files, their logs and claimed volumes lie. */
  podsDir: string;
  logsDir: string;
  claimsDir: string;
  backoffMilliseconds: number;
  now: () => Date;
  log(level: "info" | "warn" | "error", message: string): void;
  event(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void;
}

/** Logs of so many pods that are gone are kept. */
const logsKept = 20;

/** Runs every Pod object as processes, and takes the object away when they are gone. */
export class Pods {
  readonly #options: PodsOptions;
  readonly #running = new Map<string, RunningPod>();
  readonly #ending = new Map<string, Promise<void>>();
  readonly #watches: { stop(): void }[];
  #preStop = true;

  constructor(options: PodsOptions) {
    this.#options = options;
    fs.rmSync(options.podsDir, { recursive: true, force: true });
    fs.mkdirSync(options.logsDir, { recursive: true });
    this.#watches = [
      options.store.watch(podKind, ({ type, object }) => {
        const pod = asPod(object);
        if (type === "Deleted") return;
        if (pod.metadata.deletionTimestamp !== undefined) this.#end(pod);
        else if (!this.#running.has(pod.metadata.uid)) this.#start(pod);
      }),
      ...["ConfigMap", "Secret"].map((kind) =>
        options.store.watch({ apiVersion: "v1", kind }, () => this.#refresh()),
      ),
    ];
  }

  /** From now on pods end without their preStop: nothing outside follows endpoints when all of it goes. */
  skipPreStop(): void {
    this.#preStop = false;
  }

  /** Resolves when every pod that is ending has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending.values());
  }

  /** SIGKILL to everything. */
  kill(): void {
    for (const pod of this.#running.values()) pod.kill();
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
  }

  #start(pod: Pod): void {
    const { store, podsDir, logsDir, ports, register, images, hostsFile, claimsDir, now } = this.#options;
    const { namespace, name, uid } = pod.metadata;
    const running = new RunningPod(pod, {
      podDir: path.join(podsDir, uid),
      logDir: path.join(logsDir, namespace, name),
      claimsDir: path.join(claimsDir, namespace),
      hostsFile,
      images,
      ports,
      register,
      now,
      backoffMilliseconds: this.#options.backoffMilliseconds,
      read: (kind, wanted) => store.get({ apiVersion: "v1", kind, namespace, name: wanted }),
      report: (status, spec, declared) => {
        store.update(refOf(pod), (draft) => {
          draft.status = status;
          draft.spec = spec;
          const annotations = {
            ...draft.metadata.annotations,
            [declaredPortsAnnotation]: JSON.stringify(declared),
          };
          draft.metadata.annotations = annotations;
        });
      },
      event: (type, reason, message) => this.#options.event(pod, type, reason, message),
    });
    this.#running.set(uid, running);
    fs.mkdirSync(path.join(podsDir, uid), { recursive: true, mode: 0o700 });
    running.start();
  }

  #end(pod: Pod): void {
    const { uid } = pod.metadata;
    const running = this.#running.get(uid);
    if (this.#ending.has(uid)) return;
    const ended = (running?.terminate({ preStop: this.#preStop }) ?? Promise.resolve())
      .catch((error) => this.#options.log("error", `pod ${pod.metadata.name}: ${messageOf(error)}`))
      .then(() => {
        this.#running.delete(uid);
        this.#ending.delete(uid);
        this.#options.store.remove(pod);
        this.#pruneLogs();
      });
    this.#ending.set(uid, ended);
  }

  #refresh(): void {
    for (const pod of this.#running.values()) {
      pod.refresh().catch((error) => {
        this.#options.log("warn", `pod ${pod.pod.metadata.name}: ${messageOf(error)}`);
      });
    }
  }

  /** What somebody took away under us is no reason to stay: an end that fails here would leave processes behind. */
  #pruneLogs(): void {
    const { log, logsDir } = this.#options;
    try {
      this.#pruneLogsOfGonePods();
    } catch (error) {
      log("warn", `${logsDir}: ${messageOf(error)}`);
    }
  }

  #pruneLogsOfGonePods(): void {
    const { logsDir, store } = this.#options;
    const gone: { directory: string; changed: number }[] = [];
    for (const namespace of fs.readdirSync(logsDir)) {
      for (const name of fs.readdirSync(path.join(logsDir, namespace))) {
        const directory = path.join(logsDir, namespace, name);
        if (store.get({ ...podKind, namespace, name }) === undefined) {
          gone.push({ directory, changed: fs.statSync(directory).mtimeMs });
        }
      }
    }
    gone.sort((a, b) => b.changed - a.changed);
    for (const { directory } of gone.slice(logsKept)) fs.rmSync(directory, { recursive: true, force: true });
  }
}
