import { isDeepStrictEqual } from "node:util";
import { ClusterError } from "../../operator/engine/cluster.ts";
import { LEASE, type Lease, type LeaseStore } from "../../operator/kube/lease.ts";

/** One lease as an API server keeps it: a write that names an old resourceVersion is refused. */
export class MemoryLease {
  lease: Lease | undefined;
  /** Every write that was asked for, refused or not, by its holder; empty when it gave the lease back. */
  readonly writes: string[] = [];
  #version = 0;

  readonly store: LeaseStore = {
    read: async () => structuredClone(this.lease),
    create: async (spec) => {
      this.writes.push(spec.holderIdentity ?? "");
      if (this.lease !== undefined) throw new ClusterError("Conflict", "the lease exists");
      return this.#store({ ...LEASE, metadata: { name: "naru-operator", namespace: "naru" }, spec });
    },
    replace: async (lease) => {
      this.writes.push(lease.spec?.holderIdentity ?? "");
      if (this.lease === undefined) throw new ClusterError("NotFound", "there is no lease");
      if (this.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) {
        throw new ClusterError("Conflict", "the lease has changed");
      }
      return this.#store(lease);
    },
  };

  /** What somebody else writes: no one asks whether it may. */
  edit(change: { spec?: Lease["spec"]; labels?: Record<string, string> }): void {
    if (this.lease === undefined) throw new Error("there is no lease to edit");
    const metadata = { ...this.lease.metadata, ...(change.labels && { labels: change.labels }) };
    this.#store({ ...this.lease, metadata, spec: { ...this.lease.spec, ...change.spec } });
  }

  /** A write that changes nothing is none. */
  #store(lease: Lease): Lease {
    if (isDeepStrictEqual(lease, this.lease)) return structuredClone(lease);
    const metadata = { ...lease.metadata, resourceVersion: String(++this.#version) };
    this.lease = structuredClone({ ...lease, metadata });
    return structuredClone(this.lease);
  }
}
