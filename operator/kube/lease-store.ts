import type { LeaseSpec } from "kubernetes-types/coordination/v1.js";
import { ClusterError } from "../engine/cluster.ts";
import type { ApiClient } from "./api-client.ts";
import { LEASE, type Lease, type LeaseStore } from "./lease.ts";

/** The lease as an API server keeps it. */
export function leaseOf(client: ApiClient, namespace: string, name: string): LeaseStore {
  const all = `/apis/${LEASE.apiVersion}/namespaces/${namespace}/leases`;
  // A lease that is asked for later is asked for by the next try: a request that waits here only grows old.
  const once = (signal: AbortSignal) => ({ signal, retries: 0 });
  return {
    async read(signal) {
      try {
        return (await client.request("GET", `${all}/${name}`, once(signal))) as unknown as Lease;
      } catch (thrown) {
        if (thrown instanceof ClusterError && thrown.code === "NotFound") return undefined;
        throw thrown;
      }
    },
    async create(spec: LeaseSpec, signal) {
      const body = { ...LEASE, metadata: { name, namespace }, spec };
      return (await client.request("POST", all, { ...once(signal), body })) as unknown as Lease;
    },
    async replace(lease, signal) {
      return (await client.request("PUT", `${all}/${name}`, {
        ...once(signal),
        body: lease,
      })) as unknown as Lease;
    },
  };
}
