import type { ObjectMeta } from "../../operator/engine/objects.ts";

/** What the metadata of a Deployment's pod says of who made it: a ReplicaSet that is named after the Deployment. */
export function madeBy(
  deployment: string,
  labels: Readonly<Record<string, string>> = {},
): Pick<ObjectMeta, "labels" | "ownerReferences"> {
  const hash = "5d4f8c7b9";
  return {
    labels: { ...labels, "pod-template-hash": hash },
    ownerReferences: [
      {
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        name: `${deployment}-${hash}`,
        uid: "00000000-0000-0000-0000-00000000000a",
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}
