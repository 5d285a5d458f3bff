import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import type { Namespace } from "./kube.ts";

/** What a list is now, kept by `kubectl get --watch`: nothing is asked for again and again. */
export interface Watch {
  /** Throws when the watch ended by itself: what is old must not be taken for what is. */
  objects(): readonly KubeObject[];
  stop(): Promise<void>;
}

/**
 * Follows the objects that `args` of `kubectl get` name. API servers end a watch after half an hour at the earliest.
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
  const program = spawn(kubectl, [...scope, "get", ...args, ...format], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const objects = new Map<string, KubeObject>();
  let said = "";
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
  return {
    objects() {
      if (program.exitCode !== null) throw new Error(`the watch of ${args.join(" ")} ended: ${said}`);
      return [...objects.values()];
    },
    async stop() {
      if (program.exitCode !== null || program.signalCode !== null) return;
      const exited = once(program, "exit");
      program.kill();
      await exited;
    },
  };
}
