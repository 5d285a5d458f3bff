import type { KubeObject } from "../operator/engine/objects.ts";
import type { ServiceAddress } from "../operator/standalone/services.ts";

/** Where a ModelServing answers on this machine; each port is absent until its Service has it. */
export interface LocalAddress {
  readonly http?: string;
  readonly grpc?: string;
}

export function localAddressOf(
  { metadata }: Pick<KubeObject, "metadata">,
  services: readonly ServiceAddress[],
): LocalAddress {
  const port = (name: string) =>
    services.find(
      (each) =>
        each.service === metadata.name &&
        each.namespace === (metadata.namespace ?? "default") &&
        each.portName === name,
    )?.localPort;
  const [http, grpc] = [port("http"), port("grpc")];
  return {
    ...(http === undefined ? {} : { http: `http://127.0.0.1:${http}` }),
    ...(grpc === undefined ? {} : { grpc: `127.0.0.1:${grpc}` }),
  };
}

/** `modelserving/NAME  http://127.0.0.1:PORT/v2  grpc 127.0.0.1:PORT` */
export function addressLine(name: string, { http, grpc }: LocalAddress): string {
  return [
    `modelserving/${name}`,
    ...(http === undefined ? [] : [`${http}/v2`]),
    ...(grpc === undefined ? [] : [`grpc ${grpc}`]),
  ].join("  ");
}
