import type { PoolingProxy } from "./proxy.ts";

/**
 * No proxy: clients in the cluster that keep their connections to the Service's own address. Nobody tells them
 * that a pod leaves; all that they have is what the server does with the connection.
 */
export function serviceClient(url: string): PoolingProxy {
  return {
    name: "service",
    url,
    clientsKeepAlive: true,
    setUpstreams: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}
