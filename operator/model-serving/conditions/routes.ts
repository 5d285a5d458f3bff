import { notServed } from "../not-served.ts";
import type { Plan, Situation } from "../plan.ts";
import { gatewayOf } from "../read-add-ons.ts";
import { routeKinds } from "../rules/network.ts";
import { type Finding, no, unknown, unlisted, yes } from "./finding.ts";

/** Whether the Gateways carry the routes: not asked where none is named. */
export function routesAccepted(situation: Situation, plan: Plan): Finding | undefined {
  const { spec, observed, name, namespace } = situation;
  const parentRefs = spec.traffic?.parentRefs;
  if (parentRefs === undefined) return undefined;
  const kinds = routeKinds(plan);
  const hidden = kinds.find((kind) => observed.hides(kind));
  if (hidden !== undefined) return unlisted(hidden);
  const absent = kinds.find((kind) => !observed.serves(kind));
  if (absent !== undefined) {
    const message = `${notServed(absent)}: install the Gateway API`;
    return no({ reason: "KindNotServed", message });
  }
  const routes = observed.routes.filter((route) => kinds.some(({ kind }) => kind === route.kind));
  for (const { kind, verdicts } of routes) {
    const refused = verdicts.find(({ status }) => status === "False");
    if (refused !== undefined) {
      const message = `${kind} ${name}: ${refused.message}${sharedHosts(situation, kinds.length)}`;
      return no({ reason: refused.reason, message });
    }
  }
  const [waiting] = kinds.flatMap(({ kind }) => {
    const answered = routes.filter((route) => route.kind === kind).flatMap(({ verdicts }) => verdicts);
    const silent = parentRefs
      .map((parentRef) => gatewayOf(parentRef, namespace))
      .find((asked) => !answered.some(({ gateway }) => gateway === asked));
    return silent === undefined ? [] : [{ kind, silent }];
  });
  return waiting === undefined
    ? yes("Accepted", "every Gateway carries the routes")
    : unknown(
        "NotAcceptedYet",
        `Gateway ${waiting.silent} has not answered for ${waiting.kind} ${name} yet: see that it is there, as traffic.parentRefs names it`,
      );
}

/** Gateway API lets a listener carry only one of an HTTPRoute and a GRPCRoute whose host names meet. */
function sharedHosts({ spec }: Situation, kinds: number): string {
  return kinds < 2 || spec.traffic?.grpcHostnames !== undefined
    ? ""
    : ". If it is because the other protocol has the host name: give gRPC its own by traffic.grpcHostnames";
}
