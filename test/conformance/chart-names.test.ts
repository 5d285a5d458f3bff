import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { CHART, runHelm } from "../../scripts/helm.ts";
import { helmPath, missingHelm } from "../support/chart.ts";

/** An RFC 1035 label: what a Service may be called in every version of Kubernetes that the chart goes to. */
const SERVICE_NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** The longest that Helm allows a release. */
const LONGEST = 53;

const missing = missingHelm();
if (missing !== undefined) console.log(`skipped: releases by other names: ${missing}`);

describe.skipIf(missing !== undefined)("the chart, by other names", () => {
  test.each([
    ["naru", "naru-operator"],
    ["models", "models-naru-operator"],
    ["naru.eu", "naru-eu-operator"],
    ["2024", "naru-2024-operator"],
    ["naru-".padEnd(LONGEST, "x"), `${"naru-".padEnd(46, "x")}-operator`],
    ["models-".padEnd(LONGEST, "x"), `${"models-".padEnd(41, "x")}-naru-operator`],
    ["models-".padEnd(40, "x").concat("-europe-west"), `${"models-".padEnd(40, "x")}-naru-operator`],
  ])("a release may be called %s", async (release, operator) => {
    const objects = await asRelease(release, "naru-system", ...EVERYTHING);
    const named = (kind: string) => objects.filter((object) => object.kind === kind);
    expect(named("Deployment").map(({ metadata }) => metadata.name)).toEqual([operator]);
    expect(named("Service")).toHaveLength(1);
    for (const { metadata } of named("Service")) expect(metadata.name).toMatch(SERVICE_NAME);
    for (const { kind, metadata } of objects) {
      expect(typeof metadata.name, kind).toBe("string");
      for (const value of Object.values(metadata.labels ?? {})) expect(typeof value, kind).toBe("string");
    }
  });

  test("namespaces may be named by a number", async () => {
    const objects = await asRelease("naru", "2024", ...EVERYTHING, "--set-json", WATCHED);
    const namespaces = objects.flatMap(({ metadata }) => metadata.namespace ?? []);
    expect([...new Set(namespaces)].sort()).toEqual(["1000", "2024"]);
    const accounts = objects.flatMap(
      (object) => (object as { subjects?: { namespace: string }[] }).subjects ?? [],
    );
    expect(accounts.length).toBeGreaterThan(2);
    expect([...new Set(accounts.map(({ namespace }) => namespace))]).toEqual(["2024"]);
  });

  test("two releases share nothing of the cluster, if one of them leaves the definitions to the other", async () => {
    const first = ofTheCluster(await asRelease("naru", "naru-system"));
    const second = ofTheCluster(await asRelease("naru-b", "naru-b", "--set", "crds.enabled=false"));
    expect(first.length).toBeGreaterThan(second.length);
    expect(second.length).toBeGreaterThan(3);
    expect(second.filter((name) => first.includes(name))).toEqual([]);
  });

  test.each([
    ["begins with a digit", "1naru"],
    ["has a dot", "naru.eu"],
    ["is too long for what is put behind it", "x".repeat(53)],
  ])("a name of one's own that %s is refused", async (_what, name) => {
    await expect(asRelease("naru", "naru-system", "--set", `fullnameOverride=${name}`)).rejects.toThrow(
      /fullnameOverride/,
    );
  });
});

const EVERYTHING = [
  "--set",
  "monitoring.serviceMonitor.operator=true,monitoring.serviceMonitor.serving=true,monitoring.rules.enabled=true,monitoring.dashboards.enabled=true",
];
const WATCHED = 'operator.watchNamespaces=["1000"]';

/** What helm makes of a release, as YAML says it: a name that is a number stays one, and is found. */
async function asRelease(name: string, namespace: string, ...args: string[]): Promise<KubeObject[]> {
  const text = await runHelm(helmPath(), ["template", name, CHART, "--namespace", namespace, ...args]);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

function ofTheCluster(objects: readonly KubeObject[]): string[] {
  return objects
    .filter(({ metadata }) => metadata.namespace === undefined)
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
}
