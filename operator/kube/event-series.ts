import { shortHash } from "../engine/canonical.ts";
import type { ClusterEvent } from "../engine/cluster.ts";
import { refKey } from "../engine/objects.ts";
import { cut } from "../engine/text.ts";

/**
 * Which Events are written for what is told, with client-go's rules and numbers (EventCorrelator): what repeats raises
 * a count, many that differ in their message only become one, and no object may have more than a few in a while.
 */
const KNOWN_SERIES = 4096;
const SIMILAR_UNTIL_COMBINED = 10;
const SIMILAR_WITHIN = 600_000;
const OBJECT_BURST = 25;
const OBJECT_REFILL = 300_000;
const LONGEST_MESSAGE = 1024;
/** 253 characters are a name's bound; the rest is a dot and a hash. */
const LONGEST_PREFIX = 240;

/** One Event object, which grows. */
export interface Series {
  /** Of the Event object: that of its first occurrence and its content. */
  readonly name: string;
  readonly event: ClusterEvent;
  readonly message: string;
  readonly first: Date;
  last: Date;
  count: number;
  /** Whether the server has it already. */
  stored: boolean;
}

interface Similar {
  messages: Set<string>;
  at: number;
}

export class EventSeries {
  readonly #series = new Map<string, Series>();
  readonly #similar = new Map<string, Similar>();
  readonly #tokens = new Map<string, { left: number; at: number }>();

  /** The series that the event belongs to, counted up; undefined where its object has had too many. */
  take(event: ClusterEvent, now: Date, monotonic: number): Series | undefined {
    const about = `${refKey(event.about)} ${event.uid ?? ""}`;
    if (!this.#mayTell(about, monotonic)) return undefined;
    const message = this.#combined(`${about} ${event.type} ${event.reason}`, event.message, monotonic);
    const key = `${about} ${event.type} ${event.reason} ${message}`;
    const known = this.#series.get(key);
    if (known !== undefined) {
      known.count += 1;
      known.last = now;
      touch(this.#series, key, known);
      return known;
    }
    const prefix = event.about.name.slice(0, LONGEST_PREFIX).replace(/[-.]+$/, "");
    const series: Series = {
      name: `${prefix}.${shortHash(`${key} ${now.toISOString()} ${process.pid}`)}`,
      event,
      message,
      first: now,
      last: now,
      count: 1,
      stored: false,
    };
    touch(this.#series, key, series);
    return series;
  }

  /** The message, or the one that stands for many. */
  #combined(key: string, message: string, monotonic: number): string {
    const known = this.#similar.get(key);
    const similar =
      known !== undefined && monotonic - known.at <= SIMILAR_WITHIN
        ? known
        : { messages: new Set<string>(), at: monotonic };
    similar.at = monotonic;
    const hash = shortHash(message);
    const combine = similar.messages.size >= SIMILAR_UNTIL_COMBINED && !similar.messages.has(hash);
    if (!combine) similar.messages.add(hash);
    touch(this.#similar, key, similar);
    return cut(combine ? "(combined from similar events)" : message, LONGEST_MESSAGE);
  }

  #mayTell(about: string, monotonic: number): boolean {
    const tokens = this.#tokens.get(about) ?? { left: OBJECT_BURST, at: monotonic };
    const left = Math.min(OBJECT_BURST, tokens.left + (monotonic - tokens.at) / OBJECT_REFILL);
    const may = left >= 1;
    touch(this.#tokens, about, { left: may ? left - 1 : left, at: monotonic });
    return may;
  }
}

/** Puts the entry at the end, and forgets those that were not touched for longest. */
function touch<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= KNOWN_SERIES) break;
    map.delete(oldest);
  }
}
