import type { Container, PodSpec } from "kubernetes-types/core/v1.js";
import type { ModelServingSpec } from "../../../crds/model-serving.ts";
import { defined } from "../defined.ts";

type Settings = ModelServingSpec["pod"];

/** What `spec.pod` says of the pod as a whole. */
export function placement(settings: Settings): Partial<PodSpec> {
  if (settings === undefined) return {};
  const { nodeSelector, tolerations, affinity, runtimeClassName, priorityClassName, imagePullSecrets } =
    settings;
  return defined({
    nodeSelector,
    tolerations: tolerations?.map(withoutEmptyValue),
    affinity,
    runtimeClassName,
    priorityClassName,
    imagePullSecrets,
  }) as Partial<PodSpec>;
}

/** What `spec.pod` says of the serving container. */
export function resourcesOf(settings: Settings): Pick<Container, "resources"> {
  const resources = settings?.resources;
  if (resources === undefined) return {};
  // The API server knows quantities as text; an integer is what a person may write.
  const texts = (list: Readonly<Record<string, string | number>> | undefined) =>
    list === undefined
      ? undefined
      : Object.fromEntries(Object.entries(list).map(([name, quantity]) => [name, String(quantity)]));
  return { resources: defined({ requests: texts(resources.requests), limits: texts(resources.limits) }) };
}

export function envOf(settings: Settings): NonNullable<Container["env"]> {
  return defined((settings?.env ?? []).map(withoutEmptyValue)) as NonNullable<Container["env"]>;
}

/** To an API server an empty value is none, and it stores none: it would look changed for ever. */
function withoutEmptyValue<T extends { readonly value?: string | undefined }>(item: T): T {
  return item.value === "" ? { ...item, value: undefined } : item;
}
