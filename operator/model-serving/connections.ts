import {
  INGRESS_PROFILES,
  type IngressProfile,
  KEEP_ALIVE_MARGIN_SECONDS,
} from "../../crds/ingress-profiles.ts";
import { defaultDrainSeconds, type ModelServingSpec } from "../../crds/model-serving.ts";
import type { HttpConfig } from "../../lib/config/inference.ts";

/** The time-outs in force: what stands before the pods decides them, and `spec` may overrule each. */
export interface Connections {
  readonly profile: IngressProfile;
  readonly idleTimeoutSeconds: number;
  readonly keepAliveSeconds: number;
  readonly preStopSeconds: number;
  readonly drainSeconds: number;
  readonly gracePeriodSeconds: number;
  readonly connectionMaxAgeSeconds: number;
  readonly connectionMaxAgeGraceSeconds: number;
  readonly requestTimeoutMilliseconds: number;
  readonly maxRequestBytes: number;
}

/** Left of the grace period after preStop and drain, for the process to end. */
const GRACE_MARGIN_SECONDS = 5;

export function connectionsOf(
  spec: Pick<ModelServingSpec, "ingress" | "termination" | "server">,
): Connections {
  const { ingress, termination, server } = spec;
  const profile = ingress?.profile ?? "ALB";
  const defaults = INGRESS_PROFILES[profile];
  const idleTimeoutSeconds = ingress?.idleTimeoutSeconds ?? defaults.idleTimeoutSeconds;
  const requestTimeoutMilliseconds = server?.requestTimeoutMilliseconds ?? 30_000;
  const preStopSeconds =
    termination?.preStopSeconds ?? ingress?.deregistrationSeconds ?? defaults.deregistrationSeconds;
  const drainSeconds = termination?.drainSeconds ?? defaultDrainSeconds(requestTimeoutMilliseconds);
  return {
    profile,
    idleTimeoutSeconds,
    keepAliveSeconds: ingress?.keepAliveSeconds ?? idleTimeoutSeconds + KEEP_ALIVE_MARGIN_SECONDS,
    preStopSeconds,
    drainSeconds,
    gracePeriodSeconds:
      termination?.gracePeriodSeconds ?? preStopSeconds + drainSeconds + GRACE_MARGIN_SECONDS,
    connectionMaxAgeSeconds: ingress?.connectionMaxAgeSeconds ?? 300,
    connectionMaxAgeGraceSeconds: ingress?.connectionMaxAgeGraceSeconds ?? 30,
    requestTimeoutMilliseconds,
    maxRequestBytes: server?.maxRequestBytes ?? 64 * 1024 * 1024,
  };
}

/** The part of a runtime's configuration that says how it holds connections. */
export function httpConfigOf(connections: Connections): Partial<HttpConfig> {
  return {
    keepAliveSeconds: connections.keepAliveSeconds,
    connectionMaxAgeSeconds: connections.connectionMaxAgeSeconds,
    connectionMaxAgeGraceSeconds: connections.connectionMaxAgeGraceSeconds,
    drainSeconds: connections.drainSeconds,
  };
}
