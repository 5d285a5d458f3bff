import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { openStandalone } from "../../operator/standalone/client.ts";

const CLI = path.join(import.meta.dirname, "../../cli/main.ts");
/** Of what it said, the end is kept for the message of a failure. */
const KEPT_CHARACTERS = 4000;

/** A `naru up` of one folder, as a user has it in another terminal. */
export class Up {
  readonly #folder: string;
  readonly #name: string;
  readonly #program: ChildProcess;
  readonly #exited: Promise<unknown>;
  #address: string | undefined;
  #printed = "";
  #said = "";

  /** @param onEnd called if it ends by itself, with what it said */
  constructor(folder: string, name: string, onEnd: (error: Error) => void) {
    this.#folder = folder;
    this.#name = name;
    this.#program = spawn(process.execPath, [CLI, "up", folder], { stdio: ["ignore", "pipe", "pipe"] });
    this.#program.stdout?.on("data", (chunk: Buffer) => this.#hear(chunk.toString()));
    this.#program.stderr?.on("data", (chunk: Buffer) => this.#keep(chunk.toString()));
    this.#exited = once(this.#program, "close").catch((error: Error) => this.#keep(error.message));
    void this.#exited.then(() => {
      const { exitCode, signalCode } = this.#program;
      const error = new Error(
        `naru up ended (${exitCode ?? signalCode ?? "not started"}):\n${this.#said.trim()}`,
      );
      onEnd(error);
    });
  }

  /** `http://127.0.0.1:PORT/v2`, once it has printed it: the model serves. */
  get address(): string | undefined {
    return this.#address;
  }

  /** The resource's status and the generation of its spec; undefined before it was read. */
  async resource(): Promise<{ generation: number; status: ModelServingStatus } | undefined> {
    const client = openStandalone(this.#folder);
    if (!client.running) return undefined;
    const query = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", name: this.#name };
    const [found] = await client.list(query).catch(whileItStarts);
    if (found?.status === undefined) return undefined;
    return { generation: found.metadata.generation ?? 0, status: found.status as ModelServingStatus };
  }

  /** As Ctrl-C does; the second one stops at once. */
  interrupt(): void {
    if (this.#program.exitCode === null && this.#program.signalCode === null) this.#program.kill("SIGINT");
  }

  /** Ends in order: requests under way are answered, and nothing is left running. */
  async stop(): Promise<void> {
    this.interrupt();
    await this.#exited;
  }

  #hear(text: string): void {
    this.#keep(text);
    this.#printed = (this.#printed + text).slice(-KEPT_CHARACTERS);
    // The last one may be a part.
    const lines = this.#printed.split("\n").slice(0, -1);
    const line = lines.find((one) => one.startsWith(`modelserving/${this.#name}  http://`));
    this.#address ??= line?.split(/\s+/)[1];
  }

  #keep(text: string): void {
    this.#said = (this.#said + text).slice(-KEPT_CHARACTERS);
  }
}

/** Between taking the folder and answering, `naru up` has a socket that nobody listens to. */
function whileItStarts(error: unknown): readonly KubeObject[] {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED"))
    return [];
  throw error;
}
