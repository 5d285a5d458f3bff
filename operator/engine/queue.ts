import { Backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { Heap, type HeapItem } from "./heap.ts";

/**
 * Who is waiting for a key's reconcile. Higher is served first, first come first served within one.
 * A restart or a resync queues every resource there is at Backlog: whoever applies one meanwhile is not behind them.
 */
export const priorities = { User: 2, Change: 1, Backlog: 0 } as const;
export type Priority = (typeof priorities)[keyof typeof priorities];
const levels = [priorities.Backlog, priorities.Change, priorities.User] as const;

/**
 * Every tenth key handed out is the one that has waited longest, whatever its priority: with n keys ready when it
 * became ready, a key is handed out after 10 × (n + 1) others at the latest, however many more urgent ones arrive.
 */
const FAIR_TURN = 10;

export interface AddOptions {
  /** Change by default. A key that is already queued keeps the higher of the two. */
  priority?: Priority;
  /** Milliseconds before it may be handed out, 0 by default. A key that is already queued keeps the sooner. */
  after?: number;
}

export interface Taken {
  readonly key: string;
  readonly priority: Priority;
}

/** What is measured of a queue; durations in seconds. */
export interface QueueObserver {
  depth(priority: Priority, ready: number): void;
  added(): void;
  taken(waited: number): void;
  finished(worked: number): void;
  retried(): void;
}

interface Item extends HeapItem {
  readonly key: string;
  priority: Priority;
  /** held: ready, but its key is in work. */
  state: "ready" | "waiting" | "held";
  /** Order of becoming ready. */
  turn: number;
  /** Monotonic milliseconds: when it became ready, or will. */
  readyAt: number;
}

/**
 * The work queue of one controller. It holds each key once, and never hands out a key that is still in work: what is
 * added meanwhile is handed out after `done`. The rules are those of controller-runtime's priority queue.
 * Bounded by the number of resources, since it holds keys only.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #observer: QueueObserver | undefined;
  readonly #backoff = new Backoff();
  readonly #items = new Map<string, Item>();
  readonly #ready = levels.map(() => new Heap<Item>((a, b) => a.turn < b.turn));
  readonly #waiting = new Heap<Item>((a, b) => a.readyAt < b.readyAt);
  /** Keys in work, with the monotonic time at which they were handed out. */
  readonly #inWork = new Map<string, number>();
  readonly #takers: ((taken: Taken | undefined) => void)[] = [];
  #timer: { at: number; cancel: () => void } | undefined;
  #turns = 0;
  #handedOut = 0;
  #drained: (() => void) | undefined;
  #shutDown: Promise<void> | undefined;

  constructor(clock: Clock, observer?: QueueObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Keys that could be handed out now. */
  get ready(): number {
    return this.#ready.reduce((sum, heap) => sum + heap.size, 0);
  }

  /** Keys that are queued in any way; those in work count only if they were added again. */
  get size(): number {
    return this.#items.size;
  }

  /** Seconds that the keys in work have been there: their sum, and the longest. */
  inWork(): { sum: number; longest: number } {
    const now = this.#clock.monotonic();
    let sum = 0;
    let longest = 0;
    for (const since of this.#inWork.values()) {
      const seconds = (now - since) / 1000;
      sum += seconds;
      longest = Math.max(longest, seconds);
    }
    return { sum, longest };
  }

  add(key: string, options: AddOptions = {}): void {
    if (this.#shutDown !== undefined) return;
    const priority = options.priority ?? priorities.Change;
    const after = options.after ?? 0;
    const now = this.#clock.monotonic();
    if (after > 0) this.#observer?.retried();
    const item = this.#items.get(key);
    if (item === undefined) {
      const added: Item = { key, priority, state: "waiting", turn: 0, readyAt: now + after, place: -1 };
      this.#items.set(key, added);
      if (after > 0) this.#wait(added);
      else this.#makeReady(added, now);
    } else {
      this.#improve(item, priority, after, now);
    }
    this.#serve();
  }

  /** Adds the key after its backoff: 5 ms, doubled at each call until `forget`. */
  retry(key: string, priority: Priority): void {
    this.add(key, { priority, after: this.#backoff.next(key) });
  }

  /** The key was reconciled: its next failure starts from the shortest backoff. */
  forget(key: string): void {
    this.#backoff.forget(key);
  }

  /** How often the key has failed since it was last forgotten. */
  failures(key: string): number {
    return this.#backoff.failures(key);
  }

  /** The next key, when there is one; undefined once the queue is shut down. Every key taken is given to `done`. */
  take(): Promise<Taken | undefined> {
    if (this.#shutDown !== undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  done(key: string): void {
    const since = this.#inWork.get(key);
    if (since === undefined) return;
    this.#inWork.delete(key);
    const now = this.#clock.monotonic();
    this.#observer?.finished((now - since) / 1000);
    if (this.#shutDown !== undefined) {
      if (this.#inWork.size === 0) this.#drained?.();
      return;
    }
    const again = this.#items.get(key);
    if (again?.state === "held") this.#enter(again);
    this.#serve();
  }

  /** Hands out nothing more, and resolves when every key in work is done. What was queued is dropped. */
  shutDown(): Promise<void> {
    this.#shutDown ??= new Promise((resolve) => {
      this.#drained = resolve;
      this.#timer?.cancel();
      this.#timer = undefined;
      for (const taker of this.#takers.splice(0)) taker(undefined);
      for (const heap of [...this.#ready, this.#waiting]) heap.clear();
      this.#items.clear();
      for (const level of levels) this.#observer?.depth(level, 0);
      if (this.#inWork.size === 0) resolve();
    });
    return this.#shutDown;
  }

  #improve(item: Item, priority: Priority, after: number, now: number): void {
    const higher = Math.max(item.priority, priority) as Priority;
    if (item.state === "waiting") {
      item.priority = higher;
      if (after <= 0) {
        this.#waiting.remove(item);
        this.#makeReady(item, now);
      } else if (now + after < item.readyAt) {
        this.#waiting.remove(item);
        item.readyAt = now + after;
        this.#wait(item);
      }
    } else if (higher !== item.priority) {
      // It goes to the end of its new priority, but what it has waited still counts for the fair turn.
      if (item.state === "ready") this.#leave(item);
      item.priority = higher;
      if (item.state === "ready") this.#enter(item);
    }
  }

  #wait(item: Item): void {
    item.state = "waiting";
    this.#waiting.push(item);
    this.#armTimer();
  }

  #makeReady(item: Item, now: number): void {
    item.readyAt = now;
    this.#observer?.added();
    if (this.#inWork.has(item.key)) item.state = "held";
    else this.#enter(item);
  }

  #enter(item: Item): void {
    item.state = "ready";
    item.turn = this.#turns++;
    const heap = this.#level(item.priority);
    heap.push(item);
    this.#observer?.depth(item.priority, heap.size);
  }

  #leave(item: Item): void {
    const heap = this.#level(item.priority);
    heap.remove(item);
    this.#observer?.depth(item.priority, heap.size);
  }

  #level(priority: Priority): Heap<Item> {
    const heap = this.#ready[priority];
    if (heap === undefined) throw new RangeError(`no such priority: ${priority}`);
    return heap;
  }

  #serve(): void {
    while (this.#takers.length > 0) {
      const item = this.#choose();
      if (item === undefined) return;
      this.#leave(item);
      this.#items.delete(item.key);
      const now = this.#clock.monotonic();
      this.#inWork.set(item.key, now);
      this.#handedOut++;
      this.#observer?.taken((now - item.readyAt) / 1000);
      this.#takers.shift()?.({ key: item.key, priority: item.priority });
    }
  }

  #choose(): Item | undefined {
    const heads = this.#ready.map((heap) => heap.peek()).filter((item) => item !== undefined);
    if ((this.#handedOut + 1) % FAIR_TURN === 0) {
      return heads.reduce<Item | undefined>(
        (oldest, head) => (oldest === undefined || head.readyAt < oldest.readyAt ? head : oldest),
        undefined,
      );
    }
    return heads.at(-1);
  }

  #armTimer(): void {
    const next = this.#waiting.peek();
    if (next === undefined || (this.#timer !== undefined && this.#timer.at <= next.readyAt)) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(next.readyAt - this.#clock.monotonic(), () => this.#wake());
    this.#timer = { at: next.readyAt, cancel };
  }

  #wake(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (let next = this.#waiting.peek(); next !== undefined && next.readyAt <= now; ) {
      this.#waiting.remove(next);
      this.#makeReady(next, now);
      next = this.#waiting.peek();
    }
    this.#armTimer();
    this.#serve();
  }
}
