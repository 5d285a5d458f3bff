import { shortHash } from "../engine/canonical.ts";
import type { OperatorSettings } from "./settings.ts";

export const TRACKS = ["stable", "canary"] as const;
export type Track = (typeof TRACKS)[number];

/** A Service's name is a DNS label; the other children are held to the same length. */
const LONGEST = 63;

/** `base-suffix`, or where that is too long a shortened form that a hash of the whole keeps apart from others. */
function childName(base: string, suffix: string): string {
  const name = `${base}-${suffix}`;
  if (name.length <= LONGEST) return name;
  const hash = shortHash(name);
  return `${name.slice(0, LONGEST - hash.length - 1).replace(/[-.]+$/, "")}-${hash}`;
}

/** Deployment of a track: the stable one bears the resource's own name, which the HPA targets. */
export function deploymentName(name: string, track: Track): string {
  return track === "stable" ? name : childName(name, "canary");
}

/** Service of a track, behind the router. */
export function trackServiceName(name: string, track: Track): string {
  return childName(name, track);
}

export function routerName(name: string): string {
  return childName(name, "router");
}

/**
 * Deployment and Service of a graph node's own container. The track comes first, so that no node's name can make
 * it another child's.
 */
export function stepName(name: string, node: string, track: Track): string {
  return childName(name, track === "stable" ? `step-${node}` : `canary-step-${node}`);
}

export function revisionConfigName(name: string, revision: string): string {
  return childName(name, revision);
}

/** Ports of every Service of ours; targets are container ports of the same name. */
export const SERVICE_PORTS = { http: 80, grpc: 8081 } as const;

export function serviceHost(service: string, namespace: string, settings: OperatorSettings): string {
  const domain = settings.clusterDomain;
  return domain === undefined || domain === ""
    ? `${service}.${namespace}.svc`
    : `${service}.${namespace}.svc.${domain}`;
}

/** Address of a Service for the router, one a protocol; gRPC is HTTP/2 without TLS. */
export function backendOf(
  service: string,
  namespace: string,
  settings: OperatorSettings,
  ports: { readonly grpc: boolean },
): { http: string; grpc?: string } {
  const host = serviceHost(service, namespace, settings);
  const http = `http://${host}:${SERVICE_PORTS.http}`;
  return ports.grpc ? { http, grpc: `http://${host}:${SERVICE_PORTS.grpc}` } : { http };
}
