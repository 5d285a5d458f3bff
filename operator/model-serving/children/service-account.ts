import type { ServiceAccount } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";

/** An identity of its own for the pods, without a token in them: nothing that serves talks to the API server. */
export function serviceAccount(situation: Situation): KubeObject {
  const object: ServiceAccount & { metadata: { name: string } } = {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: situation.name },
    automountServiceAccountToken: false,
  };
  return child(situation, object);
}
