import { call } from "./call.ts";
import type { GrpcUpstream } from "./grpc/upstream.ts";
import { HoldGate } from "./hold.ts";
import type { Upstream } from "./upstream.ts";

/** A probe that got no answer by then counts as not ready. */
const PROBE_TIMEOUT_MS = 1000;

/** Where a revision or a node answers, with what its connections share. */
export interface Backend {
  readonly http: Upstream;
  readonly grpc: GrpcUpstream | undefined;
  readonly gate: HoldGate;
}

/** A gate that opens when the backend answers its health check with anything but "not yet". */
export function gateOf(http: Upstream, onRefused: () => void): HoldGate {
  return new HoldGate(async () => {
    try {
      const { status } = await call(http, {
        method: "GET",
        path: "/v2/health/ready",
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        maxBytes: 64 * 1024,
      });
      // A user's own server may not know this path: that it answers at all is what counts.
      return status < 500;
    } catch {
      return false;
    }
  }, onRefused);
}
