import { controllerOf, type KubeObject } from "../engine/objects.ts";

/** The label by which a Deployment tells its ReplicaSets, and they their pods, apart. */
const TEMPLATE_HASH_LABEL = "pod-template-hash";

/**
 * Those of the pods that these Deployments made. Labels alone are no proof: anybody's pod may bear them, and would be
 * counted, or asked and believed as a router.
 *
 * A pod's controller is a ReplicaSet that bears its Deployment's name and the pod's own hash. The ReplicaSet is not
 * looked up: the right to read all of them would prove no more, since who may make pods may name any controller, and
 * a controller that isn't there has its pods collected as garbage. Standalone has pods of Deployments directly.
 */
export function podsOf(deployments: readonly KubeObject[], pods: readonly KubeObject[]): KubeObject[] {
  const names = new Set(deployments.map(({ metadata }) => metadata.name));
  const uids = new Set(deployments.flatMap(({ metadata }) => metadata.uid ?? []));
  return pods.filter((pod) => {
    const controller = controllerOf(pod);
    if (controller?.apiVersion !== "apps/v1") return false;
    if (controller.kind === "Deployment") return uids.has(controller.uid);
    const hash = pod.metadata.labels?.[TEMPLATE_HASH_LABEL];
    const ending = `-${hash}`;
    return (
      controller.kind === "ReplicaSet" &&
      hash !== undefined &&
      controller.name.endsWith(ending) &&
      names.has(controller.name.slice(0, -ending.length))
    );
  });
}
