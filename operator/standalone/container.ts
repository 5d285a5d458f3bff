import type { ChildProcess } from "node:child_process";
import os from "node:os";
import { messageOf } from "../../lib/errors.ts";
import { rfc3339 } from "../engine/conditions.ts";
import { killGroup } from "./orphans.ts";
import type { Container, ContainerStatus, Probe, Terminated } from "./pod-types.ts";
import { probeOnce, repeatProbe, sleep } from "./probes.ts";
import { MissingConfig } from "./volumes.ts";

export interface ContainerHost {
  readonly restartPolicy: "Always" | "OnFailure" | "Never";
  readonly graceSeconds: number;
  /** Fires when the pod ends: nothing is started after it. */
  readonly stopping: AbortSignal;
  /** First wait before a restart in milliseconds; it doubles up to thirty times as long. */
  readonly backoffMilliseconds: number;
  now(): Date;
  /** Starts the process, with all that it needs made ready. @throws MissingConfig */
  launch(container: Container): Promise<ChildProcess>;
  /** The port that was allocated for a declared one, by number or name. */
  portOf(container: Container, declared: number | string): number | undefined;
  /** What the process left as its last words. */
  lastWords(container: Container, exitCode: number): string | undefined;
  /** Resolves when a ConfigMap or Secret changed, or `signal` fired. */
  configChanged(signal: AbortSignal): Promise<void>;
  onChange(): void;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const maxBackoffFactor = 30;
/** As the kubelet: whatever preStop took, SIGTERM is given this long. */
const minimumGraceMilliseconds = 2_000;

/** One container of a pod, through all its restarts. */
export class SupervisedContainer {
  readonly container: Container;
  readonly status: ContainerStatus;
  readonly #host: ContainerHost;
  readonly #init: boolean;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  /** Under way at most once: a second SIGTERM means "at once" to a program that drains. */
  #ending: Promise<void> | undefined;

  constructor(container: Container, init: boolean, host: ContainerHost) {
    this.container = container;
    this.#host = host;
    this.#init = init;
    this.status = {
      name: container.name,
      image: container.image,
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: { reason: init ? "PodInitializing" : "ContainerCreating" } },
      lastState: {},
    };
  }

  /** Runs it until it may not be restarted, or the pod stops; answers how it ended, if it ever ran. */
  async run(): Promise<Terminated | undefined> {
    const { stopping, backoffMilliseconds } = this.#host;
    let failures = 0;
    while (!stopping.aborted) {
      const exit = await this.#launch();
      if (exit === undefined) continue;
      const end = await this.#live(exit);
      if (stopping.aborted || this.#mayRest(end)) return end;
      const lived = Date.parse(end.finishedAt) - Date.parse(end.startedAt);
      if (lived > 2 * maxBackoffFactor * backoffMilliseconds) failures = 0;
      // As the kubelet: the first restart is at once, the second after the first wait.
      const wait = failures === 0 ? 0 : backoffMilliseconds * Math.min(2 ** (failures - 1), maxBackoffFactor);
      failures += 1;
      this.status.lastState = { terminated: end };
      if (wait > 0) {
        const message = `back-off ${wait / 1000}s restarting failed container ${this.container.name}`;
        this.#change({ waiting: { reason: "CrashLoopBackOff", message } });
        this.#host.event("Warning", "BackOff", message);
        if (!(await sleep(wait, stopping))) return end;
      }
      this.status.restartCount += 1;
    }
    return this.status.state.terminated;
  }

  /** preStop, SIGTERM, and SIGKILL when the grace is over. Resolves when the process is gone. */
  async terminate(options: { graceSeconds: number; preStop: boolean }): Promise<void> {
    if (this.#child === undefined) return;
    this.#ending ??= this.#end(this.#child, options.graceSeconds, options.preStop);
    await this.#ending;
  }

  /** SIGKILL, now. */
  kill(): void {
    if (this.#child?.pid !== undefined) killGroup(this.#child.pid);
  }

  #mayRest(end: Terminated): boolean {
    if (this.#host.restartPolicy === "Never") return true;
    return end.exitCode === 0 && (this.#init || this.#host.restartPolicy === "OnFailure");
  }

  async #launch(): Promise<{ of: ChildProcess; exit: Promise<Exit> } | undefined> {
    try {
      const child = await this.#host.launch(this.container);
      if (!this.#host.stopping.aborted) {
        const exit: Promise<Exit> = new Promise((resolve) => {
          child.once("exit", (code, signal) => resolve({ code, signal }));
        });
        this.#child = child;
        this.#exited = exit;
        return { of: child, exit };
      }
      if (child.pid !== undefined) killGroup(child.pid);
    } catch (error) {
      const reason = error instanceof MissingConfig ? "CreateContainerConfigError" : "CreateContainerError";
      const message = messageOf(error);
      if (this.status.state.waiting?.message !== message) this.#host.event("Warning", "Failed", message);
      this.#change({ waiting: { reason, message } });
      await this.#host.configChanged(this.#host.stopping);
    }
    return undefined;
  }

  async #live({ of: child, exit }: { of: ChildProcess; exit: Promise<Exit> }): Promise<Terminated> {
    const startedAt = rfc3339(this.#host.now());
    const gone = new AbortController();
    this.#change({ running: { startedAt } });
    // A pod that ends is not probed: whoever drains may be slow, and must not be told to stop a second time.
    this.#probe(child, AbortSignal.any([gone.signal, this.#host.stopping]));
    const { code, signal } = await exit;
    gone.abort();
    this.#child = undefined;
    this.#ending = undefined;
    const signalNumber = signal === null ? undefined : os.constants.signals[signal];
    const exitCode = code ?? 128 + (signalNumber ?? 0);
    const message = this.#host.lastWords(this.container, exitCode);
    const end: Terminated = {
      exitCode,
      ...(signalNumber === undefined ? {} : { signal: signalNumber }),
      reason: exitCode === 0 ? "Completed" : "Error",
      ...(message === undefined ? {} : { message }),
      startedAt,
      finishedAt: rfc3339(this.#host.now()),
    };
    this.status.ready = this.#init && exitCode === 0;
    this.status.started = false;
    this.#change({ terminated: end });
    return end;
  }

  #probe(child: ChildProcess, signal: AbortSignal): void {
    const { startupProbe, readinessProbe, livenessProbe } = this.container;
    const repeat = (
      probe: Probe,
      eager: boolean,
      onResult: (ok: boolean, why: string | undefined) => void,
    ) => {
      const ask = () => probeOnce(probe, (declared) => this.#host.portOf(this.container, declared));
      repeatProbe({ probe, ask, signal, eager, onResult }).catch((error) => {
        this.#host.event("Warning", "Unhealthy", messageOf(error));
      });
    };
    const restartFor = (kind: string, probe: Probe, why: string | undefined) => {
      this.#host.event("Warning", "Unhealthy", `${kind} probe failed: ${why}`);
      this.#host.event(
        "Normal",
        "Killing",
        `Container ${this.container.name} failed ${kind} probe, will be restarted`,
      );
      const grace = probe.terminationGracePeriodSeconds ?? this.#host.graceSeconds;
      this.#ending ??= this.#end(child, grace, true);
    };
    const started = () => {
      this.status.started = true;
      if (readinessProbe === undefined) this.status.ready = !this.#init;
      else {
        repeat(readinessProbe, true, (ok, why) => {
          if (!ok) this.#host.event("Warning", "Unhealthy", `Readiness probe failed: ${why}`);
          this.status.ready = ok;
          this.#host.onChange();
        });
      }
      if (livenessProbe !== undefined) {
        repeat(livenessProbe, false, (ok, why) => {
          if (!ok) restartFor("Liveness", livenessProbe, why);
        });
      }
      this.#host.onChange();
    };
    if (startupProbe === undefined) {
      started();
      return;
    }
    const starting = new AbortController();
    const ask = () => probeOnce(startupProbe, (declared) => this.#host.portOf(this.container, declared));
    repeatProbe({
      probe: startupProbe,
      ask,
      signal: AbortSignal.any([signal, starting.signal]),
      eager: true,
      onResult: (ok, why) => {
        starting.abort();
        if (ok) started();
        else restartFor("Startup", startupProbe, why);
      },
    }).catch((error) => this.#host.event("Warning", "Unhealthy", messageOf(error)));
  }

  async #end(child: ChildProcess, graceSeconds: number, preStop: boolean): Promise<void> {
    const deadline = performance.now() + graceSeconds * 1000;
    const gone = new AbortController();
    const exited = this.#exited.then(() => gone.abort());
    const seconds = preStop ? (this.container.lifecycle?.preStop?.sleep?.seconds ?? 0) : 0;
    if (seconds > 0) await sleep(Math.min(seconds, graceSeconds) * 1000, gone.signal);
    if (!gone.signal.aborted) child.kill("SIGTERM");
    const left = Math.max(deadline - performance.now(), minimumGraceMilliseconds);
    if ((await sleep(left, gone.signal)) && child.pid !== undefined) killGroup(child.pid);
    await exited;
  }

  #change(state: ContainerStatus["state"]): void {
    this.status.state = state;
    this.#host.onChange();
  }
}
