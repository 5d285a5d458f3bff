import type { HttpConfig } from "../../lib/config/inference.ts";
import type { ServiceAddresses } from "../../lib/http/service-address.ts";
import { type Backend, gateOf } from "./backend.ts";
import { GrpcUpstream } from "./grpc/upstream.ts";
import { Upstream } from "./upstream.ts";

export interface BackendAddress {
  readonly http: string;
  readonly grpc?: string | undefined;
}

interface Entry {
  readonly backend: Backend;
  readonly upstream: Upstream;
  closing: NodeJS.Timeout | undefined;
}

/**
 * The connections to backends, which outlive configurations: a push that only moves a weight opens and closes
 * none. One that no configuration names any more is closed only after the requests that began under an older one
 * must have ended.
 */
export class Backends {
  readonly #addresses: ServiceAddresses;
  readonly #onHeldRefused: () => void;
  readonly #entries = new Map<string, Entry>();

  constructor(addresses: ServiceAddresses, onHeldRefused: () => void) {
    this.#addresses = addresses;
    this.#onHeldRefused = onHeldRefused;
  }

  /**
   * @param owner whose connections these are, a track and its revision: a Service outlives the pods behind it, and a
   * connection opened to the pods of one revision leads there for as long as they drain. With shared connections a
   * canary would be judged by the answers of the one before, and after a promotion, when the requests go back to the
   * stable track, some would still be answered by the revision that it replaced.
   */
  get(address: BackendAddress, http: HttpConfig, owner: string): Backend {
    const key = `${owner} ${keyOf(address)}`;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      clearTimeout(known.closing);
      known.closing = undefined;
      return known.backend;
    }
    const upstream = new Upstream(address.http, http, this.#addresses);
    const grpc =
      address.grpc === undefined ? undefined : new GrpcUpstream(address.grpc, http, this.#addresses);
    const backend: Backend = { http: upstream, grpc, gate: gateOf(upstream, this.#onHeldRefused) };
    this.#entries.set(key, { backend, upstream, closing: undefined });
    return backend;
  }

  /** Closes, `graceMilliseconds` from now, what is not in use. */
  retain(inUse: ReadonlySet<Backend>, graceMilliseconds: number, onProblem: (error: unknown) => void): void {
    for (const [key, entry] of this.#entries) {
      if (inUse.has(entry.backend) || entry.closing !== undefined) continue;
      entry.closing = setTimeout(() => {
        this.#entries.delete(key);
        entry.backend.grpc?.close();
        entry.upstream.close().catch(onProblem);
      }, graceMilliseconds).unref();
    }
  }

  get held(): number {
    let held = 0;
    for (const { backend } of this.#entries.values()) held += backend.gate.held;
    return held;
  }

  async destroy(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { closing, backend } of entries) {
      clearTimeout(closing);
      backend.grpc?.destroy();
    }
    await Promise.all(entries.map(({ upstream }) => upstream.destroy()));
  }
}

function keyOf({ http, grpc }: BackendAddress): string {
  return `${http} ${grpc ?? ""}`;
}
