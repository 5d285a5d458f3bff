import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { chartRenderings } from "../../scripts/chart-files.ts";
import { CHART, renderChart, runHelm } from "../../scripts/helm.ts";
import { helmPath, missingHelm, rendered, renderedCase } from "../support/chart.ts";
import { canary, deployed, settled, withCanary } from "../unit/model-serving/fixtures.ts";
import type { World } from "../unit/model-serving/world.ts";

const ROOT = join(import.meta.dirname, "../..");
const CASES = readdirSync(join(CHART, "ci")).map((file) => join(CHART, "ci", file));

/** Functions of Helm's whose answer differs from one rendering to the next, or with the cluster. */
const UNSTABLE =
  /\b(rand\w+|lookup|now|date\w*|ago|uuidv4|gen[A-Z]\w+|derivePassword|getHostByName|htpasswd|bcrypt|encryptAES|shuffle|env|expandenv)\b/;

const missing = missingHelm();
if (missing !== undefined) console.log(`skipped: what helm renders: ${missing}`);

describe.skipIf(missing !== undefined)("the chart", () => {
  test.each(CASES)("passes helm lint: %s", async (values) => {
    expect(await runHelm(helmPath(), ["lint", CHART, "--strict", "--values", values])).toContain(
      "0 chart(s) failed",
    );
  });

  test("renders what is kept in the repository", async () => {
    for (const [file, wanted] of await chartRenderings(helmPath())) {
      expect(readFileSync(join(ROOT, file), "utf8"), `${file}: npm run generate`).toBe(wanted);
    }
  });

  test.each([
    ["a value that does not exist", "replica=3", "replica"],
    ["a value that does not exist, further down", "operator.watchNamespace=a", "watchNamespace"],
    ["a level of logging that does not exist", "operator.logLevel=loud", "logLevel"],
    ["a digest that is none", "image.digest=sha256:12", "digest"],
    ["a digest in the repository", "image.repository=a@sha256:12", "repository"],
    ["a namespace that is none", "operator.watchNamespaces={A}", "watchNamespaces"],
    ["no replica", "replicas=0", "replicas"],
    ["a Prometheus that is no address", "operator.prometheusUrl=prometheus:9090", "prometheusUrl"],
    ["an address with a comment behind it", "operator.prometheusUrl=http://a #b", "prometheusUrl"],
    ["a domain that is none", "operator.clusterDomain=a: b", "clusterDomain"],
  ])("refuses %s", async (_what, set, named) => {
    await expect(rendered("--set", set)).rejects.toThrow(new RegExp(`${named}`));
  });

  test("takes an image by digest, and then no tag", async () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const objects = await rendered(
      "--set",
      `image.digest=${digest},image.tag=v1,runtimeImage.digest=${digest}`,
    );
    const [container] = operatorPod(objects).spec.containers;
    expect(container?.image).toBe(`localhost/naru-operator@${digest}`);
    expect(container?.args).toContain(`--runtime-image=localhost/naru-runtime@${digest}`);
  });

  test("replaces the operator's pods by one more, and leaves one to evictions", async () => {
    const objects = await rendered();
    const deployment = find(objects, "Deployment") as { spec: { replicas: number; strategy: unknown } };
    expect(deployment.spec.replicas).toBe(2);
    expect(deployment.spec.strategy).toMatchObject({ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
    expect(find(objects, "PodDisruptionBudget")?.spec).toMatchObject({ minAvailable: 1 });
    const single = await rendered("--set", "replicas=1");
    // A budget of one in one would hold up every drain of its node.
    expect(find(single, "PodDisruptionBudget")).toBeUndefined();
  });

  test("keeps definitions beyond the release unless told otherwise, or leaves them out", async () => {
    const kept = find(await rendered(), "CustomResourceDefinition");
    expect(kept?.metadata.annotations).toMatchObject({ "helm.sh/resource-policy": "keep" });
    const loose = find(await rendered("--set", "crds.keep=false"), "CustomResourceDefinition");
    expect(loose?.metadata.annotations).toBeUndefined();
    expect(find(await rendered("--set", "crds.enabled=false"), "CustomResourceDefinition")).toBeUndefined();
  });

  test("watches the namespaces that are named with a Role in each, and none of the cluster", async () => {
    const objects = await renderedCase("namespaces");
    const roles = objects.filter(({ kind }) => kind === "Role").map(({ metadata }) => metadata.namespace);
    expect(roles).toEqual(["team-a", "team-b", "naru-system"]);
    const cluster = find(objects, "ClusterRole") as { rules?: { resources: string[] }[] } | undefined;
    expect(cluster?.rules?.flatMap(({ resources }) => resources)).toEqual(["customresourcedefinitions"]);
    expect(operatorPod(objects).spec.containers[0]?.args).toContain("--watch-namespaces=team-a,team-b");
  });

  test("mounts a CA that Node.js is told of", async () => {
    const { spec } = operatorPod(await renderedCase("everything"));
    expect(spec.volumes).toMatchObject([{ configMap: { name: "company-ca" } }]);
    const file = spec.containers[0]?.env?.find(({ name }) => name === "NODE_EXTRA_CA_CERTS")?.value;
    const mount = spec.containers[0]?.volumeMounts?.[0]?.mountPath;
    expect(file).toBe(`${mount}/ca.crt`);
  });

  test("carries the dashboards unchanged, where Grafana's sidecar finds them", async () => {
    const objects = await rendered("--set", "monitoring.dashboards.enabled=true");
    const maps = objects.filter(({ kind }) => kind === "ConfigMap");
    expect(maps.map(({ metadata }) => metadata.name)).toEqual([
      "naru-operator-dashboard-operator",
      "naru-operator-dashboard-serving",
    ]);
    for (const map of maps) {
      expect(map.metadata.labels).toMatchObject({ grafana_dashboard: "1" });
      const [[file, text] = ["", ""]] = Object.entries(map.data as Record<string, string>);
      const kept = readFileSync(join(CHART, "files/dashboards", file.replace("naru-", "")), "utf8");
      expect(text.trim()).toBe(kept.trim());
    }
  });

  test("may have dashboards without the label of Grafana's sidecar", async () => {
    const none = "monitoring.dashboards.enabled=true,monitoring.dashboards.labels.grafana_dashboard=null";
    const maps = (await rendered("--set", none)).filter(({ kind }) => kind === "ConfigMap");
    expect(maps).toHaveLength(2);
    for (const { metadata } of maps) expect(metadata.labels).not.toHaveProperty("grafana_dashboard");
  });

  test("has its test run where the operator may", async () => {
    const objects = await renderedCase("everything");
    const { spec: operator } = operatorPod(objects);
    expect(operator.tolerations).toHaveLength(1);
    const { nodeSelector, tolerations, imagePullSecrets } = operator;
    expect(find(objects, "Pod")?.spec).toMatchObject({ nodeSelector, tolerations, imagePullSecrets });
  });

  test("an upgrade to another runtime image changes no serving pod", async () => {
    const world = await deployed({ canary });
    const upgrade = async (...set: string[]) => {
      const { args = [] } = operatorPod(await rendered(...set)).spec.containers[0] ?? {};
      const runtimeImage = args.find((arg) => arg.startsWith("--runtime-image="))?.split("=")[1] ?? "";
      world.settings = { ...world.settings, runtimeImage };
      await world.tick(5);
      return { runtimeImage, templates: podTemplates(world) };
    };
    world.set(withCanary(2));
    await upgrade("--set", "runtimeImage.tag=v1");
    await world.until("rolled out", settled(world));
    const before = await upgrade("--set", "runtimeImage.tag=v1");
    expect(before.templates).toContain(before.runtimeImage);
    const after = await upgrade("--set", "runtimeImage.tag=v2");
    expect(after.runtimeImage).not.toBe(before.runtimeImage);
    expect(after.templates).toBe(before.templates);
    // The next change of spec is what takes it up.
    world.set(withCanary(3));
    await world.tick(5);
    await world.until("rolled out", settled(world));
    expect(podTemplates(world)).toContain(after.runtimeImage);
  });

  test("renders the same again", async () => {
    const args = ["--values", join(CHART, "ci/everything-values.yaml")];
    expect(await renderChart(helmPath(), args)).toBe(await renderChart(helmPath(), args));
  });
});

describe("the chart's templates", () => {
  const templates = readdirSync(join(CHART, "templates"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

  test("ask for nothing that differs from one rendering to the next", () => {
    expect(templates.length).toBeGreaterThan(10);
    for (const file of templates) {
      for (const [action] of readFileSync(file, "utf8").matchAll(/\{\{[\s\S]*?\}\}/g)) {
        if (action.startsWith("{{/*") || action.startsWith("{{- /*")) continue;
        expect(action.replaceAll(/"[^"]*"/g, '""'), file).not.toMatch(UNSTABLE);
      }
    }
    expect('{{ lookup "v1" "Secret" "a" "b" }}').toMatch(UNSTABLE);
    expect("{{ randAlphaNum 5 }}").toMatch(UNSTABLE);
  });

  test("give a reason beside every verb of the operator", () => {
    const rules = readFileSync(join(CHART, "templates/_rules.tpl"), "utf8");
    const verbs = [...rules.matchAll(/^ +- ([a-z]+)(.*)$/gm)];
    expect(verbs.length).toBeGreaterThan(20);
    for (const [line, , reason] of verbs) expect(reason, line).toMatch(/^ # \S/);
    expect(rules).not.toMatch(/"\*"|\[\*|escalate|impersonate|\bbind\b/);
  });
});

/** What serving pods and routers are made from, as text. */
function podTemplates(world: World): string {
  const deployments = world.objects.all().filter(({ kind }) => kind === "Deployment");
  return JSON.stringify(deployments.map(({ spec }) => (spec as { template: unknown }).template));
}

function find(objects: readonly KubeObject[], kind: string): KubeObject | undefined {
  return objects.find((object) => object.kind === kind);
}

interface PodTemplate {
  spec: {
    containers: {
      image: string;
      args?: string[];
      env?: { name: string; value?: string }[];
      volumeMounts?: { mountPath: string }[];
    }[];
    volumes?: unknown[];
    nodeSelector?: object;
    tolerations?: unknown[];
    imagePullSecrets?: unknown[];
  };
}

function operatorPod(objects: readonly KubeObject[]): PodTemplate {
  return (find(objects, "Deployment") as unknown as { spec: { template: PodTemplate } }).spec.template;
}
