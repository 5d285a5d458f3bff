import { GRPC_ROUTE, grpcRoute, HTTP_ROUTE, httpRoute } from "../children/gateway-routes.ts";
import { networkPolicy } from "../children/network-policy.ts";
import type { Plan, Rule } from "../plan.ts";

/** Who may connect. On by default. */
export const network: Rule = (situation, plan) => {
  if (situation.spec.networkPolicy?.enabled === false) return {};
  return { children: [...plan.children, networkPolicy(situation)] };
};

/** Routes of the Gateway API, only where `spec` names a Gateway: that its kinds are installed changes nothing. */
export const gateways: Rule = (situation, plan) => {
  if (situation.spec.traffic?.parentRefs === undefined) return {};
  const routes = routeKinds(plan).map((kind) =>
    kind === HTTP_ROUTE ? httpRoute(situation) : grpcRoute(situation),
  );
  return { children: [...plan.children, ...routes] };
};

/** The kinds of routes that what serves is reached by: one a protocol. */
export function routeKinds({ serving }: Plan): readonly (typeof HTTP_ROUTE | typeof GRPC_ROUTE)[] {
  const { http, grpc } = serving.input.protocols;
  return [...(http ? [HTTP_ROUTE] : []), ...(grpc ? [GRPC_ROUTE] : [])];
}
