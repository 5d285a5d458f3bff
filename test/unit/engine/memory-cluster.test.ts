import { clusterContract } from "../../contract/cluster.ts";
import { MemoryCluster } from "../../support/memory-cluster.ts";

const widgets = { apiVersion: "test.naru.dev/v1", kind: "Widget" };

clusterContract("memory", async () => {
  const cluster = new MemoryCluster([
    widgets,
    { apiVersion: "v1", kind: "ConfigMap" },
    { apiVersion: "v1", kind: "Service" },
  ]);
  return {
    cluster,
    namespace: "default",
    resource: (name, version) => ({
      ...widgets,
      metadata: { name, namespace: "default" },
      spec: { size: version },
    }),
    put: async (resource) => {
      await cluster.applyAs("kubectl", resource);
    },
    remove: async (ref) => cluster.remove(ref),
    applyAs: async (manager, object) => {
      await cluster.applyAs(manager, object);
    },
    stop: async () => undefined,
  };
});
