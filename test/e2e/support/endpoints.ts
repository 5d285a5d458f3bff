import type { KubeObject } from "../../../operator/engine/objects.ts";

interface EndpointSlice {
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly conditions?: { readonly ready?: boolean };
  }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[];
}

/** `host:port` of the pods that take requests by EndpointSlices, as ingress controllers read them. */
export function readyEndpoints(slices: readonly KubeObject[], portName = "http"): readonly string[] {
  return slices.flatMap((object) => {
    const { endpoints = [], ports = [] } = object as unknown as EndpointSlice;
    const port = ports?.find(({ name }) => name === portName)?.port;
    if (port === undefined) return [];
    // Absent means ready; a pod on its way out is not.
    const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
    return ready.flatMap(({ addresses }) => addresses.map((address) => `${address}:${port}`));
  });
}
