import { setTimeout as delay } from "node:timers/promises";
import type { Load } from "./load.ts";
import { type Scene, type Split, splitOf } from "./scene.ts";
import type { Screen } from "./screen.ts";
import type { Story } from "./story.ts";
import type { Up } from "./up.ts";

const SHOW_MILLISECONDS = 200;
/** Seconds whose latency is kept for the curve. */
const HISTORY = 120;

interface Sources {
  readonly story: Story;
  readonly up: Up;
  /** Undefined before it begins. */
  load(): Load | undefined;
  versionOf(digest: string | undefined): string;
  /** Since the demo began. */
  seconds(): number;
}

/** Shows, a few times a second, where the story is. */
export class Live {
  readonly #sources: Sources;
  readonly #screen: Screen;
  readonly #history: number[] = [];
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #split: Split | undefined;

  constructor(sources: Sources, screen: Screen) {
    this.#sources = sources;
    this.#screen = screen;
    this.#ended = this.#run();
  }

  /** Shows how it ended, and gives the terminal back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
    this.#screen.show(this.#scene());
    this.#screen.close();
  }

  async #run(): Promise<void> {
    const { up, versionOf } = this.#sources;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // A naru up that has ended or is busy ending: the story says so, the view shows what was seen last.
      const status = await up.resource().then(
        (found) => found?.status,
        () => undefined,
      );
      if (status?.modelDigest !== undefined) this.#split = splitOf(status, versionOf);
      this.#screen.show(this.#scene());
      await delay(SHOW_MILLISECONDS, undefined, { signal }).catch((error) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  #scene(): Scene {
    const { story, load, seconds } = this.#sources;
    const now = seconds();
    const { sent, lost, address } = load() ?? { sent: 0, lost: 0, address: undefined };
    const recent = load()?.recent() ?? { perSecond: 0 };
    if (recent.p99 !== undefined)
      this.#history[Math.floor(now)] = Math.max(this.#history[Math.floor(now)] ?? 0, recent.p99);
    return {
      seconds: now,
      ...(address === undefined ? {} : { address }),
      acts: [...story.acts],
      ...(this.#split === undefined ? {} : { split: this.#split }),
      recent,
      history: Object.values(this.#history).slice(-HISTORY),
      sent,
      lost,
    };
  }
}
