import path from "node:path";
import { NaruError } from "../lib/errors.ts";
import type { Condition, KubeObject } from "../operator/engine/objects.ts";
import { startControllers } from "../operator/engine/start.ts";
import { MODEL_SERVING, modelServingKind } from "../operator/model-serving/kind.ts";
import { openRouterSigner } from "../operator/model-serving/router-signer.ts";
import { RUNTIME_IMAGE } from "../operator/standalone/runtime-image.ts";
import { signingKeyFile } from "../operator/standalone/signing-keys.ts";
import { type Standalone, startStandalone } from "../operator/standalone/start.ts";
import { stateDirectory } from "../operator/standalone/state.ts";
import { addressLine, localAddressOf } from "./local-address.ts";
import { conditionsOf, progressLines } from "./progress.ts";
import { schemas } from "./schemas.ts";

const levels = { info: 0, warn: 1, error: 2 } as const;

/**
 * Serves a folder until Ctrl-C.
 * @throws NaruError NoSuchFolder, AlreadyRunning, InvalidResource, NoResources, SigningKeysInvalid
 */
export async function serve(dir: string, verbose: boolean): Promise<void> {
  const log = (level: keyof typeof levels, message: string) => {
    if (verbose || level !== "info") console.error(`${level === "warn" ? "warning" : level}: ${message}`);
  };
  const stopped = stopSignal();
  const standalone = await startStandalone({ dir, schemas, log });
  const { cluster } = standalone;
  const settings = { runtimeImage: RUNTIME_IMAGE, namespace: "naru-system" };
  let engine: { stop(): Promise<void> } | undefined;
  let watch: { stop(): void } | undefined;
  try {
    refuseNothing(dir, standalone);
    const progress = new Progress(standalone);
    watch = await cluster.watch(MODEL_SERVING, (event) => progress.tell(event));
    progress.begin();
    const signer = await openRouterSigner(signingKeyFile(stateDirectory(dir)));
    engine = await startControllers({
      cluster,
      kinds: [modelServingKind(settings, signer)],
      log: engineLog(log),
    });
    await stopped.first;
    console.error("stopping: requests under way are answered; Ctrl-C again stops at once");
  } finally {
    stopped.again(() => void standalone.stop());
    watch?.stop();
    await engine?.stop();
    await standalone.stop();
  }
}

/** @throws NaruError InvalidResource, NoResources where there is nothing to serve: an empty wait would say nothing */
function refuseNothing(dir: string, standalone: Standalone): void {
  if (standalone.cluster.list(MODEL_SERVING).length > 0) return;
  if (standalone.problems().length > 0) {
    throw new NaruError({
      code: "InvalidResource",
      message: `nothing in ${dir} can be served`,
      remedy: `correct what is named above; naru validate ${dir} checks it again`,
      status: 422,
    });
  }
  throw new NaruError({
    code: "NoResources",
    message: `there is no ModelServing in ${path.resolve(dir)}`,
    remedy: "put a YAML file with one into it; files in folders below are not read",
    status: 404,
  });
}

/** Prints what changes about each resource, and its addresses each time that it becomes ready or they change. */
class Progress {
  readonly #standalone: Standalone;
  readonly #told = new Map<string, { conditions: readonly Condition[]; address: string }>();
  /** What was stored by an earlier life is where changes begin from: it is not news. */
  #silent = true;

  constructor(standalone: Standalone) {
    this.#standalone = standalone;
  }

  begin(): void {
    this.#silent = false;
  }

  tell({ type, object }: { type: string; object: KubeObject }): void {
    const { name, namespace } = object.metadata;
    const key = `${namespace}/${name}`;
    const before = this.#told.get(key);
    const conditions = conditionsOf(object);
    if (this.#silent) {
      this.#told.set(key, { conditions, address: "" });
      return;
    }
    if (type === "Deleted") {
      this.#told.delete(key);
      console.log(`modelserving/${name}  deleted`);
      return;
    }
    for (const line of progressLines(object, before?.conditions ?? [])) console.log(line);
    const ready = conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
    const address = ready ? addressLine(name, localAddressOf(object, this.#standalone.addresses())) : "";
    if (address !== "" && address !== before?.address) console.log(address);
    this.#told.set(key, { conditions, address });
  }
}

function engineLog(log: (level: "info" | "warn" | "error", message: string) => void) {
  const write = (level: "info" | "warn" | "error") => (fields: object, message: string) => {
    const details = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
    log(level, [message, ...details].join(" "));
  };
  return { debug: () => undefined, info: write("info"), warn: write("warn"), error: write("error") };
}

/** A terminal, npm and a launcher may each deliver one and the same Ctrl-C. */
const SAME_SIGNAL_MS = 500;

/** Ctrl-C, a closed terminal and `kill` end it in order; what comes later asks for the end at once. */
function stopSignal(): { first: Promise<void>; again(act: () => void): void } {
  let onAgain = () => undefined as unknown;
  let firstAt: number | undefined;
  const first = new Promise<void>((resolve) => {
    const onSignal = () => {
      firstAt ??= performance.now();
      if (performance.now() - firstAt < SAME_SIGNAL_MS) resolve();
      else onAgain();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  });
  return {
    first,
    again: (act) => {
      onAgain = act;
    },
  };
}
