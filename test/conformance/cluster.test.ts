import { afterAll, beforeAll, describe } from "vitest";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { MODEL_SERVING } from "../../operator/model-serving/kind.ts";
import { clusterContract } from "../contract/cluster.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import {
  applyAs,
  CONFIG_MAP,
  installModelServing,
  modelServing,
  newNamespace,
  openCluster,
  pathOf,
  SERVICE,
} from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the Kubernetes adapter's contract: ${missing}`);

describe.skipIf(missing !== undefined)("the Kubernetes adapter on a real API server", () => {
  let server: ApiServer;
  let collects = false;

  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
    collects = await server.startControllers();
    if (!collects)
      console.log("skipped: garbage collection: KUBEBUILDER_ASSETS has no kube-controller-manager");
  });
  afterAll(async () => server?.stop());

  clusterContract("Kubernetes", async () => {
    const namespace = await newNamespace(server);
    const connection = await openConnection({ kubeconfig: server.kubeconfig });
    const { cluster, stop } = await openCluster(connection, { kinds: [CONFIG_MAP, SERVICE, MODEL_SERVING] });
    return {
      cluster,
      namespace,
      resource: (name, version) => modelServing(namespace, name, version),
      put: async (resource) => {
        await applyAs(server, "kubectl", resource);
      },
      remove: async (ref) => {
        await server.request("DELETE", pathOf(ref));
      },
      applyAs: async (manager, object) => {
        await applyAs(server, manager, object);
      },
      ...(collects ? {} : { uncollected: "KUBEBUILDER_ASSETS has no kube-controller-manager" }),
      stop,
    };
  });
});
