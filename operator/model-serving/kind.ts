import type { ControlledKind } from "../engine/kind.ts";
import { GRPC_ROUTE, HTTP_ROUTE } from "./children/gateway-routes.ts";
import { SCALED_OBJECT } from "./children/scaled-object.ts";
import { SERVICE_MONITOR } from "./children/service-monitor.ts";
import { CONDITIONS } from "./conditions.ts";
import { decide } from "./decide.ts";
import { SERVING_LABEL } from "./labels.ts";
import { observe } from "./observe.ts";
import type { Observed } from "./observed.ts";
import { httpRouterClient, type RouterClient } from "./router-client.ts";
import type { RouterSigner } from "./router-signer.ts";
import type { OperatorSettings } from "./settings.ts";

export const MODEL_SERVING = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" } as const;

const ADD_ONS = [SCALED_OBJECT, SERVICE_MONITOR, HTTP_ROUTE, GRPC_ROUTE];

/** ModelServing, as the engine runs it. `signer` is the operator's word towards routers. */
export function modelServingKind(
  settings: OperatorSettings,
  signer: RouterSigner,
  routers: RouterClient = httpRouterClient(signer),
): ControlledKind<Observed> {
  return {
    kind: MODEL_SERVING,
    owns: [
      { apiVersion: "apps/v1", kind: "ControllerRevision" },
      { apiVersion: "v1", kind: "ConfigMap" },
      { apiVersion: "v1", kind: "ServiceAccount" },
      { apiVersion: "v1", kind: "Service" },
      { apiVersion: "apps/v1", kind: "Deployment" },
      { apiVersion: "policy/v1", kind: "PodDisruptionBudget" },
      { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" },
      { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
      ...ADD_ONS,
    ],
    addOns: ADD_ONS,
    reads: [
      {
        kind: { apiVersion: "v1", kind: "Pod" },
        keyOf: ({ metadata }) => {
          const name = metadata.labels?.[SERVING_LABEL];
          return name === undefined ? undefined : { namespace: metadata.namespace ?? "", name };
        },
      },
    ],
    needs: [
      // The revisions that status names, and what serves them: seen as gone, a rollout would begin or end unseen.
      { apiVersion: "apps/v1", kind: "ControllerRevision" },
      { apiVersion: "apps/v1", kind: "Deployment" },
      { apiVersion: "v1", kind: "Service" },
      { apiVersion: "v1", kind: "ConfigMap" },
      // Routers among them: one that isn't seen would count as one that has let go of a canary.
      { apiVersion: "v1", kind: "Pod" },
    ],
    conditions: CONDITIONS,
    observe: (resource, cluster, signal, owned) =>
      observe(resource, cluster, signal, owned, { settings, routerKeys: signer.publicKeys, routers }),
    decide,
  };
}
