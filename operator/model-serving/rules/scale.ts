import type { Rule, Situation } from "../plan.ts";
import { servingWorkload } from "../workloads.ts";

/** How often a model that sleeps is asked whether somebody waits for it: a part of a cold start's time. */
const WAKE_POLL_MILLISECONDS = 500;
const LONGEST_IDLE_POLL_MILLISECONDS = 60_000;

/**
 * Replicas of the stable track. A count that an autoscaler wrote is copied, never left out: server-side apply would
 * take a field that we once set and then omit for one that nobody wants, and the Deployment would fall to 1.
 */
export const scaleStable: Rule = (situation) => {
  const { spec } = situation;
  if (spec.autoscaling === undefined) {
    // Autoscaling was switched off, or never on, and no count is given: what is there stays until told.
    return { replicas: spec.replicas ?? Math.max(currentReplicas(situation) ?? 1, 1) };
  }
  const { minReplicas, maxReplicas } = spec.autoscaling;
  const floor = Math.max(minReplicas, 1);
  const current = currentReplicas(situation) ?? floor;
  // An autoscaler does not touch a Deployment at 0; the routers say whether anybody waits for it.
  if (minReplicas === 0 && situation.before.canary === undefined) {
    if (current === 0 && waiting(situation) === 0) return { replicas: 0, requeue: [WAKE_POLL_MILLISECONDS] };
    const left = idleTimeLeft(situation);
    if (current > 0 && left <= 0) return { replicas: 0, requeue: [WAKE_POLL_MILLISECONDS] };
    const requeue = [Math.min(Math.max(left, WAKE_POLL_MILLISECONDS), LONGEST_IDLE_POLL_MILLISECONDS)];
    return { replicas: Math.min(Math.max(current, floor), maxReplicas), requeue };
  }
  return { replicas: Math.min(Math.max(current, floor), maxReplicas) };
};

/**
 * The canary's size: its share of the stable count, rounded up, one pod at least. It is full size before it takes
 * all requests, and it does not shrink while they are being taken back.
 */
export const scaleCanary: Rule = (situation, plan) => {
  const { canary, replicas } = plan;
  if (canary === undefined) return { canaryReplicas: 0 };
  const confirmed = canarySize(canary.weightPercent, replicas);
  if (canary.phase === "Promoting") return { canaryReplicas: Math.max(replicas, 1) };
  if (canary.phase === "RollingBack") {
    return { canaryReplicas: servingWorkload(situation, "canary")?.replicas ?? confirmed };
  }
  return { canaryReplicas: Math.max(confirmed, canarySize(stepWeight(situation, canary.step), replicas)) };
};

export function canarySize(weightPercent: number, replicas: number): number {
  return Math.max(1, Math.ceil((weightPercent * replicas) / 100));
}

/** Weight of a step; past the last one it is all. */
export function stepWeight({ spec }: Situation, step: number): number {
  return spec.canary?.steps[step]?.weightPercent ?? 100;
}

function currentReplicas(situation: Situation): number | undefined {
  return servingWorkload(situation, "stable")?.replicas;
}

/** Requests that routers hold for want of a ready pod. */
function waiting({ observed }: Situation): number {
  return observed.routers.reduce((sum, { report }) => sum + (report?.held ?? 0), 0);
}

/** Milliseconds until the model has been idle for long enough to sleep; unknown routers keep it awake. */
function idleTimeLeft({ spec, observed, now }: Situation): number {
  const limit = (spec.autoscaling?.scaleToZeroAfterSeconds ?? 0) * 1000;
  const routers = observed.routers.filter((router) => router.ready || router.leaving);
  if (!routers.some((router) => router.ready)) return limit;
  const idle = routers.map(({ report, ready, readySince }) => {
    if (report === undefined) return ready ? 0 : Number.POSITIVE_INFINITY;
    if (report.held > 0 || report.inFlight > 0) return 0;
    // A router that never saw a request has been idle since it began to take them.
    return report.idleMilliseconds ?? (readySince === undefined ? 0 : now.getTime() - readySince.getTime());
  });
  const pods = observed.pods.filter((pod) => pod.role !== "router" && pod.ready);
  const awake = pods.map(({ readySince }) =>
    readySince === undefined ? 0 : now.getTime() - readySince.getTime(),
  );
  // A pod that has just come up for a request gets its whole idle time, whatever the routers counted before.
  if (awake.length === 0) return limit;
  return limit - Math.min(...idle, Math.max(...awake));
}
