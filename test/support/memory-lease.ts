import type { LeaseSpec } from "kubernetes-types/coordination/v1.js";
import { ClusterError } from "../../operator/engine/cluster.ts";
import { LEASE, type Lease, type LeaseStore } from "../../operator/kube/lease.ts";

/** One lease as an API server keeps it: a write that names an old resourceVersion is refused. */
export class MemoryLease {
  lease: Lease | undefined;
  /** Every write that was asked for, refused or not, by its holder; empty when it gave the lease back. */
  readonly writes: string[] = [];
  #version = 0;

  /** The store as one process reaches it: `between` runs before each request, and its failure is the request's. */
  reachedBy(between: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()): LeaseStore {
    return {
      read: async (signal) => {
        await between(signal);
        return structuredClone(this.lease);
      },
      create: async (spec, signal) => {
        await between(signal);
        this.writes.push(spec.holderIdentity ?? "");
        if (this.lease !== undefined) throw new ClusterError("Conflict", "the lease exists");
        return this.#store({ ...LEASE, metadata: { name: "naru-operator", namespace: "naru" }, spec });
      },
      replace: async (lease, signal) => {
        await between(signal);
        this.writes.push(lease.spec?.holderIdentity ?? "");
        if (this.lease === undefined) throw new ClusterError("NotFound", "there is no lease");
        if (this.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) {
          throw new ClusterError("Conflict", "the lease has changed");
        }
        return this.#store(lease);
      },
    };
  }

  /** What somebody else writes: no one asks whether it may. */
  edit(change: { spec?: LeaseSpec; labels?: Record<string, string> }): void {
    if (this.lease === undefined) throw new Error("there is no lease to edit");
    const metadata = { ...this.lease.metadata, ...(change.labels && { labels: change.labels }) };
    this.#store({ ...this.lease, metadata, spec: { ...this.lease.spec, ...change.spec } });
  }

  #store(lease: Lease): Lease {
    const metadata = { ...lease.metadata, resourceVersion: String(++this.#version) };
    this.lease = structuredClone({ ...lease, metadata });
    return structuredClone(this.lease);
  }
}
