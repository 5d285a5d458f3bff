import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { isHealthService, refuseUnknownService } from "../../../lib/grpc/health-services.ts";
import { HealthStatus, healthCheckRequest, healthCheckResponse } from "../../../lib/grpc/messages.ts";
import type { GrpcMethod } from "../../../lib/grpc/server.ts";

export interface HealthOptions {
  /** False while models are being loaded and while the server drains. */
  readonly isReady: () => boolean;
  /** Watches are ended once they were told of a drain, since an open one would hold its connection. */
  readonly isDraining: () => boolean;
}

/**
 * How soon a watcher hears of a change. Asked for at an interval, since what makes a server ready (loads, unloads, a
 * drain) lies in several rooms, and only while somebody watches.
 */
const watchMilliseconds = 100;
const noBytes = Buffer.alloc(0);

/** `grpc.health.v1.Health`: of the server as a whole (the empty name) and of the inference service. */
export function healthMethods({
  isReady,
  isDraining,
}: HealthOptions): readonly (readonly [string, GrpcMethod])[] {
  const statusOf = (service: string) => {
    if (!isHealthService(service)) return HealthStatus.SERVICE_UNKNOWN;
    return isReady() ? HealthStatus.SERVING : HealthStatus.NOT_SERVING;
  };
  const answer = (status: number) => sealFrame(healthCheckResponse.encode({ status }, frameHeaderBytes));
  return [
    [
      "/grpc.health.v1.Health/Check",
      {
        unary(message) {
          const { service } = healthCheckRequest.decode(message);
          refuseUnknownService(service);
          return answer(statusOf(service));
        },
      },
    ],
    [
      "/grpc.health.v1.Health/Watch",
      {
        async stream(messages, writer, { signal }) {
          const asked = await messages[Symbol.asyncIterator]().next();
          const { service } = healthCheckRequest.decode(asked.done === true ? noBytes : asked.value);
          let told: number | undefined;
          while (!signal.aborted) {
            const status = statusOf(service);
            if (status !== told) await writer.write(answer(status));
            told = status;
            if (isDraining()) return;
            await changeOrAbort(signal);
          }
        },
      },
    ],
  ];
}

function changeOrAbort(signal: {
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, watchMilliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
