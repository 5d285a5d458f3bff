import { grpcRoute, httpRoute } from "../children/gateway-routes.ts";
import { networkPolicy } from "../children/network-policy.ts";
import type { Rule } from "../plan.ts";

/** Who may connect. On by default. */
export const network: Rule = (situation, plan) => {
  if (situation.spec.networkPolicy?.enabled === false) return {};
  return { children: [...plan.children, networkPolicy(situation)] };
};

/** Routes of the Gateway API, only where `spec` names a Gateway: that its kinds are installed changes nothing. */
export const gateways: Rule = (situation, plan) => {
  if (situation.spec.traffic?.parentRefs === undefined) return {};
  const { http, grpc } = plan.serving.input.protocols;
  return {
    children: [
      ...plan.children,
      ...(http ? [httpRoute(situation)] : []),
      ...(grpc ? [grpcRoute(situation)] : []),
    ],
  };
};
