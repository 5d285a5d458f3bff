import type { Observed } from "../../operator/model-serving/observed.ts";

const ADD_ONS = ["ScaledObject", "ServiceMonitor", "HTTPRoute", "GRPCRoute"];

/** A cluster without KEDA, Gateway API and the Prometheus operator, in which nothing runs yet. */
export const nothingObserved: Observed = {
  settings: { runtimeImage: "registry.example/naru/runtime:1", namespace: "naru" },
  routerKeys: ["A".repeat(43)],
  kept: [],
  workloads: new Map(),
  pods: [],
  routers: [],
  routing: undefined,
  routerConfig: undefined,
  configMaps: new Set(),
  scalers: [],
  routes: [],
  serves: ({ kind }) => !ADD_ONS.includes(kind),
  hides: () => false,
};
