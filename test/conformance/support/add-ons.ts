import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { eventually } from "../../support/eventually.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SERVICE_MONITORS = new URL("../../support/definitions/servicemonitors.yaml", import.meta.url);

/** What a ModelServing uses where it is installed. */
export const ADD_ONS = [
  { group: "keda.sh", version: "v1alpha1", kind: "ScaledObject", plural: "scaledobjects" },
  { group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", plural: "httproutes" },
  { group: "gateway.networking.k8s.io", version: "v1", kind: "GRPCRoute", plural: "grpcroutes" },
  { group: "monitoring.coreos.com", version: "v1", kind: "ServiceMonitor", plural: "servicemonitors" },
] as const;

/** Installs their definitions: ServiceMonitor's own, and of the others one that takes any field. */
export async function installAddOns(server: ApiServer): Promise<void> {
  for (const addOn of ADD_ONS) {
    const definition =
      addOn.kind === "ServiceMonitor" ? parse(await readFile(SERVICE_MONITORS, "utf8")) : standIn(addOn);
    const { status, body } = await server.request("POST", DEFINITIONS, definition);
    if (status !== 201) throw new Error(`${addOn.kind}: ${String(body.message)}`);
  }
}

/**
 * Has no ScaledObject listed any more, as when KEDA's webhook is gone: one is stored in a version that only the webhook
 * could turn into the one that is asked for.
 */
export async function breakScaledObjects(server: ApiServer, namespace: string): Promise<void> {
  const [{ group, version, plural, kind }] = ADD_ONS;
  const path = `${DEFINITIONS}/${plural}.${group}`;
  const { body } = await server.request("GET", path);
  const definition = body as { spec: { versions: { name: string }[] } };
  const [served] = definition.spec.versions;
  const clientConfig = { url: "https://127.0.0.1:1/convert" };
  const conversion = { strategy: "Webhook", webhook: { clientConfig, conversionReviewVersions: ["v1"] } };
  const versions = [
    { ...served, storage: false },
    { ...served, name: "v1", storage: true },
  ];
  await server.request("PATCH", path, { spec: { versions, conversion } }, "application/merge-patch+json");
  const object = { apiVersion: `${group}/v1`, kind, metadata: { name: "somebodys" } };
  await eventually("one that is stored as v1", async () => {
    const { status } = await server.request(
      "POST",
      `/apis/${group}/v1/namespaces/${namespace}/${plural}`,
      object,
    );
    return status === 201 || status === 409;
  });
  await eventually(`no ${plural} listed`, async () => {
    return (await server.request("GET", `/apis/${group}/${version}/${plural}`)).status === 500;
  });
}

/** The webhook is back, in so far as nothing needs it. */
export async function mendScaledObjects(server: ApiServer): Promise<void> {
  const [{ plural, group }] = ADD_ONS;
  const conversion = { strategy: "None", webhook: null };
  const path = `${DEFINITIONS}/${plural}.${group}`;
  await server.request("PATCH", path, { spec: { conversion } }, "application/merge-patch+json");
}

/** Resolves once nothing of them is left. */
export async function removeAddOns(server: ApiServer): Promise<void> {
  for (const { plural, group } of ADD_ONS) {
    const path = `${DEFINITIONS}/${plural}.${group}`;
    await server.request("DELETE", path);
    await eventually(`no ${plural}`, async () => (await server.request("GET", path)).status === 404);
  }
}

/** Kinds of these of which there is an object in the namespace. */
export async function addOnsIn(server: ApiServer, namespace: string): Promise<string[]> {
  const found: string[] = [];
  for (const { group, version, plural, kind } of ADD_ONS) {
    const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
    const { status, body } = await server.request("GET", path);
    if (status === 200 && (body.items as KubeObject[]).length > 0) found.push(kind);
  }
  return found;
}

function standIn({ group, version, kind, plural }: (typeof ADD_ONS)[number]) {
  const schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${plural}.${group}`,
      // Of groups below k8s.io the server asks where their review is to be found.
      annotations: { "api-approved.kubernetes.io": "unapproved, a stand-in of a test" },
    },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
}
