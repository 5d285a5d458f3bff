import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { messageOf } from "../../lib/errors.ts";
import { rfc3339 } from "../engine/conditions.ts";
import { SupervisedContainer } from "./container.ts";
import { environmentOf } from "./environment.ts";
import { BoundedLog, tailOf } from "./logs.ts";
import { killGroup, type ProcessRegister } from "./orphans.ts";
import type { Container, Pod, PodCondition, PodSpec, PodStatus } from "./pod-types.ts";
import { isPortFree, type PortPool } from "./ports.ts";
import type { Images } from "./supported.ts";
import { mountsOf, type ReadConfig, writeVolumes } from "./volumes.ts";

export interface PodHost {
  readonly podDir: string;
  readonly logDir: string;
  readonly claimsDir: string;
  readonly hostsFile: string;
  readonly images: Images;
  readonly ports: PortPool;
  readonly register: ProcessRegister;
  readonly read: ReadConfig;
  readonly backoffMilliseconds: number;
  now(): Date;
  /** Whatever of the pod changed: its status, and the ports that stand in its spec. */
  report(status: PodStatus, spec: PodSpec, declaredPorts: Readonly<Record<string, number>>): void;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

const guard = new URL(`./guard${path.extname(import.meta.url)}`, import.meta.url).href;
const maxTerminationMessageBytes = 4096;
const maxFallbackLogBytes = 2048;
const defaultGraceSeconds = 30;

/** One pod as processes: init containers one after another, then all containers, until it is terminated. */
export class RunningPod {
  readonly pod: Pod;
  readonly #host: PodHost;
  readonly #stopping = new AbortController();
  readonly #config = new EventEmitter();
  readonly #init: SupervisedContainer[];
  readonly #main: SupervisedContainer[];
  /** Container name → declared port → allocated port. */
  readonly #ports = new Map<string, Map<number, number>>();
  readonly #startTime: string;
  #conditions: PodCondition[] = [];
  #initialized = false;
  #failed = false;
  #ended: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();

  constructor(pod: Pod, host: PodHost) {
    this.pod = pod;
    this.#host = host;
    this.#startTime = rfc3339(host.now());
    const supervise = (init: boolean) => (container: Container) =>
      new SupervisedContainer(container, init, {
        restartPolicy: pod.spec.restartPolicy ?? "Always",
        graceSeconds: this.#graceSeconds,
        stopping: this.#stopping.signal,
        backoffMilliseconds: host.backoffMilliseconds,
        now: host.now,
        launch: (one) => this.#launch(one),
        portOf: (one, declared) => this.#portOf(one, declared),
        lastWords: (one, exitCode) => this.#lastWords(one, exitCode),
        configChanged: (signal) => this.#configChanged(signal),
        onChange: () => this.#report(),
        event: host.event,
      });
    this.#init = (pod.spec.initContainers ?? []).map(supervise(true));
    this.#main = pod.spec.containers.map(supervise(false));
  }

  start(): void {
    this.#ended = this.#run().catch((error) => {
      this.#failed = true;
      this.#host.event("Warning", "Failed", messageOf(error));
      this.#report();
    });
  }

  /** Resolves when every process is gone and every port given back. */
  async terminate(options: { graceSeconds?: number; preStop: boolean }): Promise<void> {
    this.#stopping.abort();
    const graceSeconds = options.graceSeconds ?? this.#graceSeconds;
    const all = [...this.#init, ...this.#main];
    await Promise.all(
      all.map((container) => container.terminate({ graceSeconds, preStop: options.preStop })),
    );
    await this.#ended;
    await this.#writing;
    for (const ports of this.#ports.values())
      for (const port of ports.values()) this.#host.ports.release(port);
    await fs.promises.rm(this.#host.podDir, { recursive: true, force: true });
  }

  /** SIGKILL to all of it, now. */
  kill(): void {
    for (const container of [...this.#init, ...this.#main]) container.kill();
  }

  /** A ConfigMap or Secret changed: mounted files follow, and what waited for it tries again. */
  async refresh(): Promise<void> {
    this.#config.emit("changed");
    if (!this.#stopping.signal.aborted && this.#initialized) await this.#writeVolumes();
  }

  get #graceSeconds(): number {
    return this.pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  }

  async #run(): Promise<void> {
    for (const container of this.#main) {
      const allocated = new Map<number, number>();
      this.#ports.set(container.container.name, allocated);
      for (const { containerPort } of container.container.ports ?? []) {
        allocated.set(containerPort, await this.#host.ports.forPod());
      }
    }
    this.#report();
    for (const container of this.#init) {
      const end = await container.run();
      if (this.#stopping.signal.aborted) return;
      if (end?.exitCode !== 0) {
        this.#failed = true;
        this.#report();
        return;
      }
    }
    this.#initialized = true;
    this.#report();
    await Promise.all(this.#main.map((container) => container.run()));
    this.#report();
  }

  async #launch(container: Container): Promise<ChildProcess> {
    const { podDir, claimsDir, images, hostsFile, read, register, logDir } = this.#host;
    const script = images(container.image);
    if (script === undefined) throw new Error(`image ${container.image}: standalone has no program for it`);
    await this.#writeVolumes();
    const ports = this.#ports.get(container.name) ?? new Map<number, number>();
    for (const [declared, allocated] of ports) {
      if (await isPortFree(allocated)) continue;
      this.#host.ports.release(allocated);
      ports.set(declared, await this.#host.ports.forPod());
    }
    const terminationLog = this.#terminationLog(container);
    fs.mkdirSync(path.dirname(terminationLog), { recursive: true });
    fs.rmSync(terminationLog, { force: true });
    const mounts = mountsOf(container, this.pod.spec, podDir, claimsDir);
    const env = environmentOf({ container, pod: this.pod, read, mounts, ports, hostsFile, terminationLog });
    const tell = (error: unknown) => this.#host.event("Warning", "Failed", messageOf(error));
    const log = new BoundedLog(path.join(logDir, `${container.name}.log`), tell);
    // A group of its own: Ctrl-C in the terminal is for `naru up`, which then ends everything in order.
    const child = spawn(process.execPath, ["--import", guard, script, ...(container.args ?? [])], {
      cwd: podDir,
      env,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.on("error", tell);
    child.once("close", () => log.close());
    const { pid } = child;
    if (pid === undefined) throw new Error(`${script} could not be started`);
    try {
      register.add(pid);
    } catch (error) {
      killGroup(pid);
      throw error;
    }
    child.once("exit", () => register.remove(pid));
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => log.write(chunk));
    return child;
  }

  /** One at a time: two writers would take each other's files away. */
  #writeVolumes(): Promise<void> {
    const { podDir, claimsDir, read } = this.#host;
    const written = this.#writing.then(() => {
      if (!this.#stopping.signal.aborted) return writeVolumes(this.pod.spec, podDir, claimsDir, read);
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #configChanged(signal: AbortSignal): Promise<void> {
    // What is missing may also be something no event tells of, such as a port: look again now and then.
    const either = AbortSignal.any([signal, AbortSignal.timeout(1_000)]);
    await once(this.#config, "changed", { signal: either }).catch((error) => {
      if (!either.aborted) throw error;
    });
  }

  #terminationLog(container: Container): string {
    return path.join(this.#host.podDir, "termination", container.name);
  }

  #lastWords(container: Container, exitCode: number): string | undefined {
    const words = tailOf(this.#terminationLog(container), maxTerminationMessageBytes).trim();
    if (words !== "") return words;
    if (exitCode === 0 || container.terminationMessagePolicy !== "FallbackToLogsOnError") return undefined;
    return (
      tailOf(path.join(this.#host.logDir, `${container.name}.log`), maxFallbackLogBytes).trim() || undefined
    );
  }

  #portOf(container: Container, declared: number | string): number | undefined {
    const port = container.ports?.find(
      ({ name, containerPort }) => declared === (typeof declared === "string" ? name : containerPort),
    );
    return port === undefined ? undefined : this.#ports.get(container.name)?.get(port.containerPort);
  }

  #report(): void {
    const declared: Record<string, number> = {};
    const containers = this.pod.spec.containers.map((container) => {
      const ports = container.ports?.map((port) => {
        const allocated = this.#ports.get(container.name)?.get(port.containerPort) ?? port.containerPort;
        declared[port.containerPort] = allocated;
        return { ...port, containerPort: allocated };
      });
      return ports === undefined ? container : { ...container, ports };
    });
    this.#host.report(this.#status(), { ...this.pod.spec, containers }, declared);
  }

  #status(): PodStatus {
    const statuses = this.#main.map((container) => structuredClone(container.status));
    const ready = this.#initialized && statuses.every((status) => status.ready);
    const final = this.#initialized && statuses.every(({ state }) => state.terminated !== undefined);
    const rests =
      final && this.pod.spec.restartPolicy !== undefined && this.pod.spec.restartPolicy !== "Always";
    const clean = statuses.every(({ state }) => state.terminated?.exitCode === 0);
    const started = statuses.some(
      ({ state, lastState }) => state.running ?? state.terminated ?? lastState.terminated,
    );
    let phase: PodStatus["phase"] = started ? "Running" : "Pending";
    if (this.#failed) phase = "Failed";
    else if (rests && clean) phase = "Succeeded";
    else if (rests && this.pod.spec.restartPolicy === "Never") phase = "Failed";
    this.#conditions = [
      this.#condition("PodScheduled", true),
      this.#condition("Initialized", this.#initialized),
      this.#condition("ContainersReady", ready),
      this.#condition("Ready", ready),
    ];
    return {
      phase,
      podIP: "127.0.0.1",
      hostIP: "127.0.0.1",
      startTime: this.#startTime,
      conditions: this.#conditions,
      initContainerStatuses: this.#init.map((container) => structuredClone(container.status)),
      containerStatuses: statuses,
    };
  }

  #condition(type: string, holds: boolean): PodCondition {
    const status = holds ? "True" : "False";
    const before = this.#conditions.find((condition) => condition.type === type);
    if (before?.status === status) return before;
    return { type, status, lastTransitionTime: rfc3339(this.#host.now()) };
  }
}
