import type { KubeObject } from "../engine/objects.ts";
import { asPod, type Pod, podKind } from "./pod-types.ts";
import { podsOf, serviceKind } from "./services.ts";
import type { Store } from "./store.ts";

/**
 * Pods in the order in which all of them can end without losing a request: first those that call others, which
 * is seen from the Service addresses in their configuration, then those that only answer.
 */
export function shutdownWaves(store: Store): Pod[][] {
  const pods = store.list(podKind).map(asPod);
  const services = store.list(serviceKind);
  const front = pods.filter((pod) => services.some((service) => calls(pod, service, store)));
  return [front, pods.filter((pod) => !front.includes(pod))].filter((wave) => wave.length > 0);
}

function calls(pod: Pod, service: KubeObject, store: Store): boolean {
  const { name, namespace } = service.metadata;
  const address = new RegExp(`(^|[^-a-z0-9.])${name}\\.${namespace}\\.svc\\b`);
  if (podsOf(service, store).some((other) => other.metadata.uid === pod.metadata.uid)) return false;
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const texts = containers.flatMap(({ args = [], env = [] }) => [
    ...args,
    ...env.map(({ value }) => value ?? ""),
  ]);
  for (const { configMap, projected } of pod.spec.volumes ?? []) {
    for (const source of [configMap, ...(projected?.sources.map((one) => one.configMap) ?? [])]) {
      const ref = {
        apiVersion: "v1",
        kind: "ConfigMap",
        namespace: pod.metadata.namespace,
        name: source?.name ?? "",
      };
      texts.push(JSON.stringify(store.get(ref)?.data ?? {}));
    }
  }
  return texts.some((text) => address.test(text));
}
