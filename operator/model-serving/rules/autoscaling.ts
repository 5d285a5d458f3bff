import { horizontalPodAutoscaler } from "../children/hpa.ts";
import { SCALED_OBJECT, scaledObject } from "../children/scaled-object.ts";
import { metricsOf } from "../children/scaling-metrics.ts";
import { notServed } from "../not-served.ts";
import type { Plan, Rule, Situation } from "../plan.ts";

/**
 * What changes the stable count by load. The count itself is copied by scale.ts. While a rollout is under way it
 * may grow and not shrink: the stable revision then sees only a part of the load, and is to take all of it again.
 */
export const autoscaler: Rule = (situation, plan) => {
  const { autoscaling } = situation.spec;
  if (autoscaling === undefined || !isScalable(plan)) return {};
  const { kind } = scalerOf(situation);
  // Two of them would pull at one count, and KEDA's webhook refuses the second: the old one goes first.
  if (situation.observed.scalers.some((scaler) => scaler.kind !== kind)) return {};
  const least = Math.max(autoscaling.minReplicas, 1, plan.canary === undefined ? 0 : plan.replicas);
  const bounds = {
    minReplicas: Math.min(least, autoscaling.maxReplicas),
    maxReplicas: autoscaling.maxReplicas,
  };
  if (kind === "HorizontalPodAutoscaler") {
    return { children: [...plan.children, horizontalPodAutoscaler(situation, autoscaling, bounds)] };
  }
  // KEDA would wake a model that sleeps up to its least count at once.
  if (plan.replicas === 0) return {};
  return { children: [...plan.children, scaledObject(situation, autoscaling, bounds)] };
};

/** Whether there is a Deployment that an autoscaler can be pointed at; steps of a graph follow its count. */
export function isScalable({ serving }: Plan): boolean {
  return serving.input.pod !== undefined;
}

export interface Scaler {
  readonly kind: "HorizontalPodAutoscaler" | "ScaledObject";
  /** Why it is no ScaledObject, where that would have been the better one. */
  readonly instead: string | undefined;
}

/**
 * KEDA where it is asked for; with Auto, where a metric is one that an HPA gets from an adapter only. Where KEDA can't
 * do it an HPA stands in: a count that follows some of the metrics is better than one that follows none.
 */
export function scalerOf(situation: Situation): Scaler {
  const { autoscaling } = situation.spec;
  const { provider = "HPA" } = autoscaling ?? {};
  const own =
    autoscaling !== undefined &&
    metricsOf(autoscaling).some(({ type }) => type !== "CPU" && type !== "Memory");
  if (provider === "HPA" || (provider === "Auto" && !own)) {
    return { kind: "HorizontalPodAutoscaler", instead: undefined };
  }
  // Nobody can tell whether a ScaledObject is there already: an HPA beside it would stop both.
  if (situation.observed.hides(SCALED_OBJECT)) {
    const stays = situation.observed.scalers.some(({ kind }) => kind === "HorizontalPodAutoscaler");
    return { kind: stays ? "HorizontalPodAutoscaler" : "ScaledObject", instead: undefined };
  }
  const obstacle = obstacleToKeda(situation, own);
  return obstacle === undefined
    ? { kind: "ScaledObject", instead: undefined }
    : { kind: "HorizontalPodAutoscaler", instead: obstacle };
}

function obstacleToKeda({ observed }: Situation, own: boolean): string | undefined {
  if (!observed.serves(SCALED_OBJECT)) {
    return `${notServed(SCALED_OBJECT)}, so a HorizontalPodAutoscaler scales: install KEDA, or set autoscaling.provider to HPA`;
  }
  if (own && observed.settings.prometheusUrl === undefined) {
    return "the operator knows no Prometheus for KEDA to ask, so a HorizontalPodAutoscaler scales: its administrator sets --prometheus-url";
  }
  return undefined;
}
