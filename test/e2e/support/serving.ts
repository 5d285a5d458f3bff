import type { ModelServingStatus } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { eventually } from "../../support/eventually.ts";
import { readyEndpoints } from "./endpoints.ts";
import type { Namespace } from "./kube.ts";
import { conditionOf, contradictions, type Moment, momentOf, shown } from "./timeline.ts";
import { watch } from "./watch.ts";

const SETTLE_MILLISECONDS = 240_000;
const KIND = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };

/** A ModelServing of a namespace, whose status and endpoints are followed from before it is there. */
export interface Serving {
  readonly name: string;
  readonly moments: readonly Moment[];
  /** What status said that was not so. */
  readonly lies: readonly string[];
  /** `kubectl apply`. Resolves with what `settled` accepts of the generation that came of it. */
  apply(spec: object, settled?: (status: ModelServingStatus) => boolean): Promise<ModelServingStatus>;
  status(): ModelServingStatus | undefined;
  /** Waits until status is of the present generation and as `holds` says. */
  settled(what: string, holds: (status: ModelServingStatus) => boolean): Promise<ModelServingStatus>;
  /** `host:port` of what takes requests now. */
  endpoints(): readonly string[];
  /** Not on their way out. */
  pods(role: "inference" | "router"): Promise<readonly KubeObject[]>;
  /** `host:port` of the Service's own address. */
  address(port: "http" | "grpc"): Promise<string>;
  /** Deletes the resource, and waits until nothing of it is left. */
  remove(): Promise<void>;
  stop(): Promise<void>;
}

export const rolledOut = (status: ModelServingStatus) =>
  conditionOf(status, "Ready") === "True" && conditionOf(status, "RolloutComplete") === "True";

export function openServing(namespace: Namespace, name: string): Serving {
  const began = performance.now();
  const moments: Moment[] = [];
  const lies: string[] = [];
  const label = { "naru.dev/model-serving": name };
  const slices = watch(
    namespace,
    ["endpointslices.discovery.k8s.io", "--selector", `kubernetes.io/service-name=${name}`],
    () => void suspect(),
  );
  const servings = watch(
    namespace,
    ["modelservings", "--field-selector", `metadata.name=${name}`],
    (object) => {
      const moment = momentOf(performance.now() - began, object, endpoints().length);
      moments.push(moment);
      lies.push(...contradictions(moment));
      void suspect();
    },
  );
  const resource = () => servings.objects().find((object) => object.metadata.name === name);
  const status = () => resource()?.status as ModelServingStatus | undefined;
  const endpoints = () => readyEndpoints(slices.objects());

  const readyWithout = () => {
    const said = status();
    return said !== undefined && conditionOf(said, "Ready") === "True" && endpoints().length === 0;
  };
  /** Two watches tell of two objects at different times: a lie is what the API server itself has to say of both. */
  async function suspect(): Promise<void> {
    if (!readyWithout()) return;
    const of = ["--selector", `kubernetes.io/service-name=${name}`, "--output", "json"];
    const text = await namespace.run(["get", "endpointslices.discovery.k8s.io", ...of]);
    const { items } = JSON.parse(text) as { items: KubeObject[] };
    const now = await namespace.get("modelserving", name);
    if (now === undefined || now.metadata.deletionTimestamp !== undefined) return;
    const said = now.status as ModelServingStatus | undefined;
    if (readyEndpoints(items).length === 0 && said !== undefined && conditionOf(said, "Ready") === "True")
      lies.push(
        `at ${Math.round(performance.now() - began)} ms: Ready, and the Service has no ready endpoint`,
      );
  }

  const serving: Serving = {
    name,
    moments,
    lies,
    status,
    endpoints,
    async apply(spec, settled = rolledOut) {
      await namespace.apply({ ...KIND, metadata: { name }, spec });
      const now = await namespace.get("modelserving", name);
      const generation = now?.metadata.generation ?? 0;
      return serving.settled(
        `${name} to settle`,
        (said) => (said.observedGeneration ?? 0) >= generation && settled(said),
      );
    },
    async settled(what, holds) {
      const look = () => {
        const found = resource();
        const said = found?.status as ModelServingStatus | undefined;
        if (said === undefined || said.observedGeneration !== found?.metadata.generation) return undefined;
        return holds(said) ? said : undefined;
      };
      try {
        return await eventually(what, look, SETTLE_MILLISECONDS);
      } catch (cause) {
        throw new Error(`waited in vain for ${what}:\n${shown(moments)}`, { cause });
      }
    },
    async pods(role) {
      const found = await namespace.list("pods", { ...label, "naru.dev/role": role });
      return found.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    },
    async address(port) {
      const service = await namespace.get("service", name);
      if (service === undefined) throw new Error(`there is no Service ${name}`);
      const { clusterIP, ports } = service.spec as {
        clusterIP: string;
        ports: { name: string; port: number }[];
      };
      return `${clusterIP}:${ports.find((one) => one.name === port)?.port}`;
    },
    async remove() {
      await namespace.run(["delete", "modelserving", name, "--ignore-not-found", "--timeout", "120s"]);
      await eventually(
        `nothing of ${name} to be left`,
        async () => (await namespace.list("pods,services,deployments", label)).length === 0,
        SETTLE_MILLISECONDS,
      );
    },
    async stop() {
      await Promise.all([slices.stop(), servings.stop()]);
    },
  };
  return serving;
}
