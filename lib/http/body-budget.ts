import { totalmem } from "node:os";
import { NaruError } from "../errors.ts";

/** Of the process's memory, what bodies may take; tensors made of JSON, answers and the models need the rest. */
const MEMORY_SHARE = 1 / 4;
/** A body as it came, what it inflates to, and room beside it: whatever the memory, one of the largest is always taken. */
const LARGEST_BODIES = 3;
/** What a request holds up to here may take the last of the budget, so that a few large ones shut nobody out. */
const SMALL_BYTES = 1024 * 1024;
/** Of the budget, what requests that hold more may fill. */
const LARGE_SHARE = 7 / 8;

export interface BodyBounds {
  /** Of one body. */
  readonly maxRequestBytes: number;
  /** Of all that are held; undefined: a part of the memory. */
  readonly maxHeldBytes?: number | undefined;
}

/** Bytes of bodies that a process may hold at once. `memoryBytes`: what it may use in all. */
export function bodyBudgetBytes(
  { maxRequestBytes, maxHeldBytes }: BodyBounds,
  memoryBytes = availableMemory(),
): number {
  return Math.max(LARGEST_BODIES * maxRequestBytes, maxHeldBytes ?? Math.floor(memoryBytes * MEMORY_SHARE));
}

/** The container's limit, where there is one: Node says 0 or more than there is where there is none. */
function availableMemory(): number {
  const limit = process.constrainedMemory();
  const total = totalmem();
  return limit > 0 && limit < total ? limit : total;
}

/**
 * Bytes of bodies that a process holds, over all connections and protocols: each body has a bound, but as many times
 * that as there are connections is no bound. What is beyond is refused at once, never waited for: half-received
 * bodies that wait for each other's room would wait for ever.
 *
 * Counted is what came, not what was announced: a client that announces a large body and sends nothing takes nothing
 * from others.
 */
export class BodyBudget {
  #limit: number;
  #held = 0;
  #refused = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  get limit(): number {
    return this.#limit;
  }

  /** For a configuration that changed; what is held beyond a smaller limit is kept. */
  set limit(bytes: number) {
    this.#limit = bytes;
  }

  get held(): number {
    return this.#held;
  }

  /** Times that something was refused. */
  get refused(): number {
    return this.#refused;
  }

  /** Room for one request. Whoever opens it releases it, however the request ends. */
  open(): HeldBytes {
    return new HeldBytes(this);
  }

  /** For HeldBytes: whether a holder of `before` bytes may have `bytes` more; they are counted then. */
  take(bytes: number, before: number): boolean {
    const limit = before + bytes > SMALL_BYTES ? this.#limit * LARGE_SHARE : this.#limit;
    if (this.#held + bytes > limit) {
      this.#refused += 1;
      return false;
    }
    this.#held += bytes;
    return true;
  }

  /** What one request may hold while no other holds anything. */
  get mostOfOne(): number {
    return Math.max(Math.min(SMALL_BYTES, this.#limit), this.#limit * LARGE_SHARE);
  }

  /** For HeldBytes. */
  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** What one request holds of a BodyBudget: grows as its body comes, and is given back as a whole. */
export class HeldBytes {
  readonly #budget: BodyBudget;
  #bytes = 0;
  #released = false;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws NaruError ServerFull (503), RequestHoldsTooMuch (413): as `refusal`. */
  grow(bytes: number): void {
    if (!this.tryGrow(bytes)) throw this.refusal(bytes);
  }

  /**
   * Why `bytes` more are not to be had: for now, or, as a graph whose tensors are together more than a pod holds, ever.
   * The latter must not ask a client to try again.
   */
  refusal(bytes: number): NaruError {
    return this.#bytes + bytes > this.#budget.mostOfOne ? holdsTooMuch(this.#budget.mostOfOne) : serverFull();
  }

  /** As `grow`, for what can be done without. What comes after the release belongs to a request that is over: not counted. */
  tryGrow(bytes: number): boolean {
    if (this.#released) return true;
    if (!this.#budget.take(bytes, this.#bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  /** Gives a part back before the request's end; never more than is held. */
  shrink(bytes: number): void {
    const given = Math.min(bytes, this.#bytes);
    this.#bytes -= given;
    this.#budget.give(given);
  }

  /** Gives back all of it. Called again, it does nothing. */
  release(): void {
    this.#released = true;
    this.shrink(this.#bytes);
  }
}

/**
 * Over gRPC this is UNAVAILABLE, as any 503: a client may repeat it elsewhere or later. RESOURCE_EXHAUSTED would say that
 * the call itself asks for too much, which no repetition cures, and retry policies leave it alone.
 */
export function serverFull(): NaruError {
  return new NaruError({
    code: "ServerFull",
    message: "the server holds as many bytes of requests as it may",
    remedy:
      "try again shortly; if it lasts, send smaller requests, add replicas, or give the pods more memory",
    status: 503,
  });
}

function holdsTooMuch(most: number): NaruError {
  return new NaruError({
    code: "RequestHoldsTooMuch",
    message: `the request, and what is made of it on its way, take more than the ${Math.floor(most)} bytes that one may hold here`,
    remedy: "send smaller requests, or give the pods more memory",
    status: 413,
  });
}

export function isServerFull(error: unknown): boolean {
  return error instanceof NaruError && error.code === "ServerFull";
}
