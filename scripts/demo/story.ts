import { copyFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { Load } from "./load.ts";
import { type Act, progressText } from "./scene.ts";
import type { Up } from "./up.ts";

const POLL_MILLISECONDS = 100;
/** A rollout that has not ended by then has failed; `progressDeadlineSeconds` of the resources ends it earlier. */
const ROLLOUT_MILLISECONDS = 90_000;

const SERVES_MILLISECONDS = 60_000;

/** A version that is tried, and how its rollout has to end. */
interface Attempt {
  readonly title: string;
  /** In the folder of the resources. */
  readonly file: string;
  readonly result: "Promoted" | "RolledBack";
  /** Reason in `status.lastRollout`. */
  readonly reason: string;
}

const GOOD: Attempt = { title: "v1 → v2 by canary", file: "v2.yaml", result: "Promoted", reason: "Promoted" };

const BROKEN: readonly Attempt[] = [
  { title: "a version that errs", file: "broken-erring.yaml", result: "RolledBack", reason: "TooManyErrors" },
  { title: "a version that is slow", file: "broken-slow.yaml", result: "RolledBack", reason: "TooSlow" },
  {
    title: "a version that is wrong",
    file: "broken-wrong.yaml",
    result: "RolledBack",
    reason: "AnswersDiffer",
  },
];

export interface Stage {
  /** Where the versions of the resource are. */
  readonly resources: string;
  /** The file that `naru up` follows. */
  readonly file: string;
  readonly up: Up;
  /** Begins to send requests. */
  startLoad(address: string): Load;
  /** Ends the story with its reason: Ctrl-C, or `naru up` that ended. */
  readonly signal: AbortSignal;
}

export interface Shown {
  accuracy?: number;
  promoted: boolean;
  rolledBack: boolean;
}

/** The demo's acts, in order: what each does, and whether it went as it should. */
export class Story {
  readonly #acts: Act[] = ["serve v1", GOOD.title, ...BROKEN.map(({ title }) => title), "v2 as before"].map(
    (title) => ({ title, state: "Waiting", detail: "" }),
  );
  readonly shown: Shown = { promoted: false, rolledBack: false };

  get acts(): readonly Act[] {
    return this.#acts;
  }

  async play(stage: Stage): Promise<void> {
    const { up, signal } = stage;
    const load = await this.#act(0, async (tell) => {
      tell("naru up starts");
      const started = stage.startLoad(await served(up, signal, tell));
      tell("the held-out images are sent");
      const accuracy = await started.accuracy(signal);
      return { value: started, ok: true, detail: accuracyText(accuracy) };
    });
    const before = await this.#act(1, async (tell) => {
      const end = await rollOut(stage, GOOD, tell);
      this.shown.promoted = end.ok;
      tell(`${end.detail}; the held-out images are sent`);
      const accuracy = await load.accuracy(signal);
      return { ...end, value: accuracy, detail: `${end.detail}, ${accuracyText(accuracy)}` };
    });
    const stable = (await up.resource())?.status.modelDigest;
    let allBack = true;
    for (const [index, attempt] of BROKEN.entries()) {
      allBack = (await this.#act(index + 2, (tell) => rollOut(stage, attempt, tell))) && allBack;
    }
    await this.#act(this.#acts.length - 1, async (tell) => {
      tell("the held-out images are sent");
      const accuracy = await load.accuracy(signal);
      const status = (await up.resource())?.status;
      const same = this.shown.promoted && status?.modelDigest === stable && accuracy === before;
      this.shown.accuracy = accuracy;
      this.shown.rolledBack = allBack && same;
      return { value: undefined, ok: same, detail: accuracyText(accuracy) };
    });
  }

  async #act<T>(
    index: number,
    act: (tell: (detail: string) => void) => Promise<{ value: T; ok: boolean; detail: string }>,
  ): Promise<T> {
    const set = (state: Act["state"], detail: string) => {
      const title = this.#acts[index]?.title ?? "";
      this.#acts[index] = { title, state, detail };
    };
    set("UnderWay", "");
    try {
      const { value, ok, detail } = await act((text) => set("UnderWay", text));
      set(ok ? "Done" : "Failed", detail);
      return value;
    } catch (error) {
      set("Failed", this.#acts[index]?.detail ?? "");
      throw error;
    }
  }
}

/** Puts a version's file in place of the one that is followed, and waits until its rollout has ended. */
async function rollOut(
  { resources, file, up, signal }: Stage,
  { file: version, result, reason }: Attempt,
  tell: (detail: string) => void,
): Promise<{ value: boolean; ok: boolean; detail: string }> {
  const before = await up.resource();
  await copyFile(path.join(resources, version), file);
  const deadline = performance.now() + ROLLOUT_MILLISECONDS;
  while (performance.now() < deadline) {
    const now = await up.resource();
    if (now !== undefined && now.generation > (before?.generation ?? 0)) {
      const end = endOf(now.status, before?.status);
      if (end !== undefined) {
        const ok = end.result === result && end.reason === reason;
        const detail =
          ok && result === "Promoted" ? "promoted" : `${wordOf(end.result)}: ${end.reason}, ${end.message}`;
        return { value: ok, ok, detail };
      }
      tell(progressText(now.status));
    }
    await delay(POLL_MILLISECONDS, undefined, { signal });
  }
  return { value: false, ok: false, detail: `the rollout did not end in ${ROLLOUT_MILLISECONDS / 1000} s` };
}

/** How the rollout that began after `before` ended; undefined while it goes on. */
function endOf(status: ModelServingStatus, before: ModelServingStatus | undefined) {
  const { canary, lastRollout, conditions } = status;
  const ready = conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
  if (canary !== undefined || lastRollout === undefined || !ready) return undefined;
  const same =
    lastRollout.finishedAt === before?.lastRollout?.finishedAt &&
    lastRollout.revision === before.lastRollout.revision;
  return same ? undefined : lastRollout;
}

function wordOf(result: NonNullable<ModelServingStatus["lastRollout"]>["result"]): string {
  return { Promoted: "promoted", RolledBack: "rolled back", Aborted: "aborted", Superseded: "superseded" }[
    result
  ];
}

function accuracyText(accuracy: number): string {
  return `accuracy ${accuracy.toFixed(3)} over the held-out images`;
}

/** The address, once the model serves; until then, what status waits for is told. */
async function served(up: Up, signal: AbortSignal, tell: (detail: string) => void): Promise<string> {
  const deadline = performance.now() + SERVES_MILLISECONDS;
  let waitsFor = "naru up starts";
  while (performance.now() < deadline) {
    if (up.address !== undefined) return up.address;
    waitsFor = waitingText((await up.resource())?.status) ?? waitsFor;
    tell(waitsFor);
    await delay(POLL_MILLISECONDS, undefined, { signal });
  }
  throw new Error(`v1 does not serve after ${SERVES_MILLISECONDS / 1000} s: ${waitsFor}`);
}

function waitingText(status: ModelServingStatus | undefined): string | undefined {
  const unmet = (type: string) =>
    status?.conditions?.find((condition) => condition.type === type && condition.status === "False");
  // Why there is no model says more than that nothing is ready.
  return (unmet("ModelAvailable") ?? unmet("Ready"))?.message;
}
