/** A real proxy that pools connections to its upstreams and never retries: what a pod's clients come through. */
export interface PoolingProxy {
  readonly name: "nginx" | "haproxy" | "service";
  readonly url: string;
  /** Whether clients may keep their own connection: nginx closes them when it reloads, which is not the pods' doing. */
  readonly clientsKeepAlive: boolean;
  /** Routes new requests to these `host:port` addresses only. Resolves when the proxy has taken them over. */
  setUpstreams(addresses: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  /** How long the proxy keeps an idle upstream connection, as an ALB keeps it for 60 s. */
  readonly idleTimeoutSeconds: number;
}
