/** What the operator's administrator sets for every ModelServing. */
export interface OperatorSettings {
  /** Image of Naru's runtimes for revisions that are new; a kept revision keeps the image that it began with. */
  readonly runtimeImage: string;
  /** Namespace of the operator, which NetworkPolicies let reach the routers' admin port. */
  readonly namespace: string;
  /** Appended to Service names in addresses, such as `cluster.local`. Absent: `name.namespace.svc`. */
  readonly clusterDomain?: string;
  /** Prometheus that KEDA asks for Naru's metrics. Absent: KEDA is not used for them. */
  readonly prometheusUrl?: string;
}
