import { IDLE_SECONDS, type SpecOf } from "../../zero-loss/paths.ts";
import type { World } from "../../zero-loss/world.ts";
import type { Namespace } from "./kube.ts";
import { storedModel } from "./model-store.ts";
import { openServing, type Serving } from "./serving.ts";

/** The namespace's ModelServing `digits` as the zero-loss paths drive one. */
export function kubeWorld(namespace: Namespace): { readonly world: World; readonly serving: Serving } {
  const serving = openServing(namespace, "digits");
  const world: World = {
    apply: (spec, settled) => serving.apply(spec, settled),
    status: () => Promise.resolve(serving.status()),
    endpoints: () => Promise.resolve(serving.endpoints()),
    serviceUrl: async () => `http://${await serving.address("http")}`,
    async deletePod() {
      const [pod] = await serving.pods("inference");
      if (pod === undefined) throw new Error("there is no pod");
      await namespace.run(["delete", "pod", pod.metadata.name, "--wait=false"]);
    },
    async stop() {
      await serving.remove();
      await serving.stop();
    },
  };
  return { world, serving };
}

/** As `specOf` of the zero-loss paths, with the model fetched over https. */
export const storedSpec: SpecOf = (model, more = {}) => ({
  model: storedModel(model),
  replicas: 2,
  ingress: { profile: "NGINX", idleTimeoutSeconds: IDLE_SECONDS },
  termination: { preStopSeconds: 3, drainSeconds: 4 },
  ...more,
});
