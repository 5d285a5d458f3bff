import type { Clock } from "./clock.ts";
import type { Cluster, WatchEvent } from "./cluster.ts";
import { type EventKeys, keysOfOwner, keysOfRead } from "./event-keys.ts";
import type { ControlledKind } from "./kind.ts";
import type { ObjectKind } from "./objects.ts";

/** A watch that a controller keeps beside its own kind's. */
export interface Source {
  readonly kind: ObjectKind;
  readonly owned: boolean;
  readonly keys: EventKeys;
}

/** How often it is asked which kinds are served: a definition may be installed, removed or forbidden at any time. */
const LOOK_AGAIN = 2_000;

export function sourcesOf(kind: ControlledKind<unknown>): Source[] {
  return [
    ...kind.owns.map((owned) => ({ kind: owned, owned: true, keys: keysOfOwner(kind.kind) })),
    ...kind.reads.map((read) => ({
      kind: read.kind,
      owned: false,
      keys: keysOfRead((object) => read.keyOf(object)),
    })),
  ];
}

/**
 * Watches the sources whose kinds are served, and the others from when they are. `onChange` is told whether the event
 * is part of a first listing.
 */
export class Watches {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #running: { stop(): void }[] = [];
  readonly #watched = new Set<Source>();
  #served = new Set<Source>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(cluster: Cluster, clock: Clock) {
    this.#cluster = cluster;
    this.#clock = clock;
  }

  /**
   * Resolves when every served source has had its first listing. `onServed` is called when a kind came to be served, or
   * is no longer: what was decided by that has to be decided anew, and no object may be there to tell of it. `onFailed`
   * when a watch could not be started, which is tried again.
   */
  async start(
    sources: readonly Source[],
    onChange: (source: Source, event: WatchEvent, listing: boolean) => void,
    onServed: () => void,
    onFailed: (thrown: unknown) => void,
  ): Promise<void> {
    const add = async (source: Source): Promise<void> => {
      let listing = true;
      await this.add(source.kind, (event) => onChange(source, event, listing));
      listing = false;
      this.#watched.add(source);
    };
    const isServed = (source: Source): boolean => this.#cluster.serves(source.kind);
    const update = async (): Promise<boolean> => {
      const served = new Set(sources.filter(isServed));
      await Promise.all([...served].filter((source) => !this.#watched.has(source)).map(add));
      const changed = sources.some((source) => served.has(source) !== this.#served.has(source));
      this.#served = served;
      return changed;
    };
    const look = async (): Promise<void> => {
      try {
        if (await update()) onServed();
      } catch (thrown) {
        onFailed(thrown);
      }
      lookLater();
    };
    const lookLater = (): void => {
      if (!this.#stopped) this.#cancel = this.#clock.after(LOOK_AGAIN, () => void look());
    };
    await update();
    lookLater();
  }

  /** Resolves when the first listing of the kind is complete. */
  async add(kind: ObjectKind, onChange: (event: WatchEvent) => void): Promise<void> {
    const watch = await this.#cluster.watch(kind, (event) => {
      if (!this.#stopped) onChange(event);
    });
    if (this.#stopped) watch.stop();
    else this.#running.push(watch);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    for (const watch of this.#running.splice(0)) watch.stop();
  }
}
