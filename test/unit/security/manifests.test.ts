import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";

/** What an installation brings into a cluster: the chart's output with its defaults. */
const objects = ["naru.yaml", "crds.yaml"]
  .flatMap((file) =>
    parseAllDocuments(readFileSync(join(import.meta.dirname, "../../../deploy", file), "utf8")),
  )
  .map((document) => document.toJS() as { kind: string; spec?: Record<string, unknown> });

test("an installation is of these kinds: no webhook, no Secret, nothing privileged on nodes", () => {
  expect([...new Set(objects.map(({ kind }) => kind))].sort()).toEqual([
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Deployment",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PriorityClass",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
  ]);
});

test("the definitions are of one stored version, which no webhook converts", () => {
  const definitions = objects.filter(({ kind }) => kind === "CustomResourceDefinition");
  expect(definitions).toHaveLength(1);
  for (const { spec } of definitions) {
    const conversion: unknown = spec?.conversion ?? { strategy: "None" };
    expect(conversion).toEqual({ strategy: "None" });
    expect(spec?.versions).toHaveLength(1);
  }
});

test("the operator's NetworkPolicy lets in metrics alone, and out to the API server, DNS and routers", () => {
  const policy = objects.find(({ kind }) => kind === "NetworkPolicy")?.spec as {
    policyTypes: string[];
    ingress: { ports: { port: unknown }[] }[];
    egress: { ports: { port: unknown }[]; to?: unknown[] }[];
  };
  expect(policy.policyTypes).toEqual(["Ingress", "Egress"]);
  expect(policy.ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual(["metrics"]);
  const [apiServer, dns, routers, ...more] = policy.egress;
  expect(more).toEqual([]);
  expect(apiServer?.ports.map(({ port }) => port)).toEqual([443, 6443]);
  expect([...new Set(dns?.ports.map(({ port }) => port))]).toEqual([53]);
  expect(routers).toEqual({
    ports: [{ port: 8082, protocol: "TCP" }],
    to: [{ namespaceSelector: {}, podSelector: { matchLabels: { "naru.dev/role": "router" } } }],
  });
});
