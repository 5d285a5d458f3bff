import type { Service } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import { SERVICE_PORTS } from "../names.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";

/** A Service of ours: the same ports everywhere, led to container ports of the same name. */
export function service(
  situation: Situation,
  own: {
    name: string;
    selector: Record<string, string>;
    protocols: { readonly http: boolean; readonly grpc: boolean };
    annotations?: Record<string, string> | undefined;
  },
): KubeObject {
  const http = { name: "http", port: SERVICE_PORTS.http, targetPort: "http", protocol: "TCP" };
  const grpc = {
    name: "grpc",
    port: SERVICE_PORTS.grpc,
    targetPort: "grpc",
    protocol: "TCP",
    // HTTP/2 without TLS, for meshes and Gateways that would take it for HTTP/1.1.
    appProtocol: "kubernetes.io/h2c",
  };
  const object: Service & { metadata: { name: string } } = {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: own.name,
      ...(own.annotations === undefined ? {} : { annotations: own.annotations }),
    },
    spec: {
      selector: own.selector,
      ports: [...(own.protocols.http ? [http] : []), ...(own.protocols.grpc ? [grpc] : [])],
    },
  };
  return child(situation, object);
}
