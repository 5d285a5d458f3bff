import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { tryKubectl } from "../../support/kubectl.ts";
import type { Namespace } from "./kube.ts";

/** What a list is now, kept by `kubectl get --watch`: nothing is asked for again and again. */
export interface Watch {
  /** Throws when the watch has long been cut: what is old must not be taken for what is. */
  objects(): readonly KubeObject[];
  stop(): Promise<void>;
}

/** Milliseconds without a watch in which the API server may come back. Nobody can have changed much meanwhile. */
const PATIENCE_MILLISECONDS = 60_000;
const AGAIN_MILLISECONDS = 200;

/**
 * Follows the objects that `args` of `kubectl get` name, over the end of an API server too.
 * @param changed called after each change
 */
export function watch(
  namespace: Namespace,
  args: readonly string[],
  changed: (object: KubeObject) => void = () => undefined,
): Watch {
  const { kubectl, kubeconfig } = namespace.cluster;
  const scope = ["--kubeconfig", kubeconfig, "--namespace", namespace.name];
  const format = ["--watch", "--output-watch-events", "--output", "json"];
  const objects = new Map<string, KubeObject>();
  let said = "";
  let cutAt: number | undefined;
  let stopped = false;
  let again: NodeJS.Timeout | undefined;
  const begin = () => {
    const program = spawn(kubectl, [...scope, "get", ...args, ...format], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    program.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-1000);
    });
    // An event a line.
    createInterface({ input: program.stdout }).on("line", (line) => {
      const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
      if (type === "DELETED") objects.delete(object.metadata.name);
      else objects.set(object.metadata.name, object);
      changed(object);
    });
    program.on("exit", () => {
      if (stopped) return;
      cutAt ??= performance.now();
      again = setTimeout(() => {
        running = begin();
        void forgetWhatWent();
      }, AGAIN_MILLISECONDS);
    });
    return program;
  };
  /** A watch that begins again tells of what is there, and not of what went while there was none. */
  const forgetWhatWent = async () => {
    const known = [...objects.keys()];
    const { code, stdout } = await tryKubectl(namespace.cluster, [
      ...["--namespace", namespace.name, "get", ...args, "--output", "json"],
    ]);
    if (code !== 0 || stopped) return;
    const { items } = JSON.parse(stdout) as { items: KubeObject[] };
    const there = new Set(items.map(({ metadata }) => metadata.name));
    for (const name of known) if (!there.has(name)) objects.delete(name);
    cutAt = undefined;
  };
  let running = begin();
  return {
    objects() {
      if (cutAt !== undefined && performance.now() - cutAt > PATIENCE_MILLISECONDS)
        throw new Error(`the watch of ${args.join(" ")} is cut: ${said}`);
      return [...objects.values()];
    },
    async stop() {
      stopped = true;
      clearTimeout(again);
      if (running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, "exit");
      running.kill();
      await exited;
    },
  };
}
