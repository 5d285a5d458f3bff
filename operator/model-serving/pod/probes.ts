import type { Probe } from "kubernetes-types/core/v1.js";
import type { Container } from "../model-source.ts";

export interface Probes {
  startupProbe: Probe;
  readinessProbe: Probe;
  livenessProbe?: Probe;
}

/** Probes of Naru's runtimes, on the admin port, so that a full serving port never fails them. */
export function runtimeProbes(startupSeconds: number): Probes {
  return {
    // Once a second: a model that loads fast is not kept waiting by its probe.
    startupProbe: {
      ...admin("/startupz"),
      periodSeconds: 1,
      timeoutSeconds: 2,
      failureThreshold: startupSeconds,
    },
    readinessProbe: { ...admin("/readyz"), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 3 },
    // Slow to judge: a restart costs more than a pause. It answers while the pod drains.
    livenessProbe: { ...admin("/livez"), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  };
}

/**
 * Probes of a user's own server, by the one thing that it declares: when it can serve. There is no liveness probe:
 * a server that is busy for long is not dead, and only its author can tell the two apart.
 */
export function containerProbes(container: Container): Probes {
  const check: Probe =
    container.readiness.httpPath === undefined
      ? { grpc: { port: container.grpcPort ?? 0, service: container.readiness.grpcService ?? "" } }
      : { httpGet: { path: container.readiness.httpPath, port: "http" } };
  const startupSeconds = container.startupSeconds ?? 600;
  return {
    startupProbe: { ...check, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: startupSeconds },
    readinessProbe: { ...check, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 },
  };
}

function admin(path: string): Probe {
  return { httpGet: { path, port: "admin" } };
}
