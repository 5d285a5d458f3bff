import type { ModelServingStatus } from "../../crds/model-serving.ts";
import { conditionsOf } from "./conditions.ts";
import { defined } from "./defined.ts";
import { selectorOf, selectorText } from "./labels.ts";
import { SERVICE_PORTS, serviceHost } from "./names.ts";
import type { Plan, Situation } from "./plan.ts";
import { issuedOf } from "./router-sequence.ts";
import { servingWorkload } from "./workloads.ts";

/** The whole status: what was observed, and what the rules decided. */
export function statusOf(situation: Situation, plan: Plan): ModelServingStatus {
  const { name, connections, generation, before } = situation;
  const { stable, canary } = plan;
  const workload = servingWorkload(situation, "stable");
  const digest = stable?.input.modelDigest;
  return defined({
    observedGeneration: generation,
    conditions: conditionsOf(situation, plan),
    replicas: workload?.pods ?? 0,
    readyReplicas: workload?.ready ?? 0,
    selector: selectorText(selectorOf(name, "inference", "stable")),
    ...addresses(situation, plan),
    revision: stable?.name,
    modelDigest: digest,
    model: digest?.slice(0, 8),
    canarySummary: canary === undefined ? undefined : canarySummary(canary),
    canary,
    lastRollout: plan.lastRollout,
    failedRevisions: plan.failedRevisions.length === 0 ? undefined : [...plan.failedRevisions],
    handledAction: plan.handledAction,
    // Kept while there is no router: those that come later must not be told what those before were.
    routerConfig: plan.routerConfig === undefined ? before.routerConfig : issuedOf(plan.routerConfig),
    runtimeImage: stable?.input.runtimeImage,
    effective: {
      profile: connections.profile,
      idleTimeoutSeconds: connections.idleTimeoutSeconds,
      keepAliveSeconds: connections.keepAliveSeconds,
      preStopSeconds: connections.preStopSeconds,
      drainSeconds: connections.drainSeconds,
      gracePeriodSeconds: connections.gracePeriodSeconds,
      connectionMaxAgeSeconds: connections.connectionMaxAgeSeconds,
      requestTimeoutMilliseconds: connections.requestTimeoutMilliseconds,
      replicas: plan.replicas,
      ...plan.surge,
      routing: plan.routing,
    },
  }) as ModelServingStatus;
}

/** `50% (2/2)`: the weight that every router applies, and how many of the steps have begun. */
function canarySummary(canary: NonNullable<ModelServingStatus["canary"]>): string {
  const { weightPercent, step, steps, stepStartedAt, phase } = canary;
  const begun = phase === "Promoting" ? steps : stepStartedAt === undefined ? step : step + 1;
  return `${weightPercent}% (${Math.min(begun, steps)}/${steps})`;
}

function addresses({ name, namespace, observed, spec }: Situation, plan: Plan) {
  const host = serviceHost(name, namespace, observed.settings);
  const { http, grpc } = plan.serving.input.protocols;
  // A user's own server may speak something else than V2.
  const path = spec.container === undefined ? "/v2" : "";
  return {
    url: http ? `http://${host}${path}` : undefined,
    grpcUrl: grpc ? `grpc://${host}:${SERVICE_PORTS.grpc}` : undefined,
  };
}
