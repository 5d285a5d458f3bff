import type { Plan, Rule, Situation } from "../plan.ts";
import { routerConfigOf } from "../router-config.ts";
import { numbered } from "../router-sequence.ts";
import { servingWorkload } from "../workloads.ts";

/** How often routers that do not have the configuration yet are asked. */
const ROUTER_POLL_MILLISECONDS = 1000;

/** Whether the router stands in front: asked for, or needed by what serves now or is being rolled out. */
export function wantsRouter({ spec }: Situation, plan: Plan): boolean {
  return (
    spec.canary !== undefined ||
    spec.graph !== undefined ||
    spec.traffic?.router === "Always" ||
    plan.canary !== undefined ||
    plan.serving.input.graph !== undefined ||
    plan.stable?.input.graph !== undefined
  );
}

/**
 * Whom the main Service leads to. It changes over only when those that take over are ready: to the routers when all
 * of them are and have their configuration, back when serving pods are. A Service that is made anew has nobody to
 * lose, so it begins as it is to be.
 */
export const routing: Rule = (situation, plan) => {
  const { observed } = situation;
  const wanted = wantsRouter(situation, plan);
  const routers = observed.routers.filter((router) => router.ready);
  const replicas = situation.spec.traffic?.routerReplicas ?? 2;
  const inForce = observed.routing ?? (wanted ? "Router" : "Direct");
  if (wanted) {
    const config = numbered(situation, routerConfigOf(situation, plan));
    const ready =
      routers.length >= replicas && routers.every(({ report }) => report?.generation === config.generation);
    const waits =
      routers.length < replicas && !routers.some((router) => router.report?.problem !== undefined);
    return {
      router: true,
      routerConfig: config,
      routing: inForce === "Router" || ready ? "Router" : "Direct",
      requeue:
        waits || routers.some(({ report }) => report?.generation !== config.generation)
          ? [ROUTER_POLL_MILLISECONDS]
          : [],
    };
  }
  const direct = (servingWorkload(situation, "stable")?.ready ?? 0) > 0;
  if (inForce === "Router" && !direct) {
    return {
      router: true,
      routing: "Router",
      routerConfig: numbered(situation, routerConfigOf(situation, plan)),
    };
  }
  return { router: false, routing: "Direct", routerConfig: undefined };
};
