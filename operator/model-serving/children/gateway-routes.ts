import type { KubeObject } from "../../engine/objects.ts";
import { defined } from "../defined.ts";
import { SERVICE_PORTS } from "../names.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";

export const HTTP_ROUTE = { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute" } as const;
export const GRPC_ROUTE = { apiVersion: "gateway.networking.k8s.io/v1", kind: "GRPCRoute" } as const;

/** Every HTTP request of the host names goes to the main Service; the router behind it knows of canaries. */
export function httpRoute(situation: Situation): KubeObject {
  return route(situation, HTTP_ROUTE, SERVICE_PORTS.http, situation.spec.traffic?.hostnames);
}

/** Gateway API lets a listener refuse one of two routes of different kinds that share a host name. */
export function grpcRoute(situation: Situation): KubeObject {
  const { hostnames, grpcHostnames } = situation.spec.traffic ?? {};
  return route(situation, GRPC_ROUTE, SERVICE_PORTS.grpc, grpcHostnames ?? hostnames);
}

function route(
  situation: Situation,
  kind: { apiVersion: string; kind: string },
  port: number,
  hostnames: readonly string[] | undefined,
): KubeObject {
  const { name, spec } = situation;
  const parentRefs = spec.traffic?.parentRefs;
  return child(situation, {
    ...kind,
    metadata: { name },
    spec: defined({ parentRefs, hostnames, rules: [{ backendRefs: [{ name, port }] }] }),
  });
}
