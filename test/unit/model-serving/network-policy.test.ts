import type { NetworkPolicyIngressRule } from "kubernetes-types/networking/v1.js";
import { describe, expect, test } from "vitest";
import { model, spec } from "./fixtures.ts";
import { World } from "./world.ts";

const CLIENT = 8080;
const ADMIN = 8082;

/** The rules of the policy that a resource has with these settings. */
async function rules(networkPolicy?: object): Promise<readonly NetworkPolicyIngressRule[]> {
  const world = new World(
    spec({ model: model(1), ...(networkPolicy === undefined ? {} : { networkPolicy }) }),
  );
  await world.reconcile();
  const policy = world.objects.get("NetworkPolicy", "digits")?.spec;
  expect(policy?.podSelector).toEqual({ matchLabels: { "naru.dev/model-serving": "digits" } });
  expect(policy?.policyTypes).toEqual(["Ingress"]);
  return policy?.ingress ?? [];
}

/** The namespaces whose pods reach a port; undefined: everybody does. */
function reaching(ingress: readonly NetworkPolicyIngressRule[], port: number): string[] | undefined {
  const open = ingress.filter(({ ports = [] }) => ports.some((one) => one.port === port));
  if (open.some(({ from }) => from === undefined)) return undefined;
  const peers = open.flatMap(({ from = [] }) => from);
  return peers
    .flatMap(({ namespaceSelector }) => namespaceSelector?.matchExpressions ?? [])
    .flatMap(({ key, operator, values = [] }) => {
      expect([key, operator]).toEqual(["kubernetes.io/metadata.name", "In"]);
      return values;
    })
    .sort();
}

describe("the NetworkPolicy of a resource", () => {
  test("opens ports to the namespaces that are named and to nobody else, and the admin port to the operator", async () => {
    const ingress = await rules({ allowFromNamespaces: ["shop"], metricsFromNamespaces: ["monitoring"] });
    expect(reaching(ingress, CLIENT)).toEqual(["shop"]);
    expect(reaching(ingress, ADMIN)).toEqual(["monitoring", "naru-system"]);
    const ports = ingress.flatMap(({ ports: each = [] }) => each.map(({ port }) => port));
    expect([...new Set(ports)].sort()).toEqual([8080, 8081, 8082]);
  });

  test("lets a router of the resource reach its pods, and pods of no other in the namespace", async () => {
    const ingress = await rules({ allowFromNamespaces: ["shop"] });
    const pods = ingress.flatMap(({ from = [] }) => from).flatMap(({ podSelector }) => podSelector ?? []);
    const matchLabels = { "naru.dev/model-serving": "digits", "naru.dev/role": "router" };
    expect(pods).toEqual([{ matchLabels }]);
  });

  test("where no namespace is named, opens what clients and Prometheus ask, and nothing else", async () => {
    const ingress = await rules();
    expect(reaching(ingress, CLIENT)).toBeUndefined();
    expect(reaching(ingress, ADMIN)).toBeUndefined();
    expect(reaching(ingress, 22)).toEqual([]);
  });
});
