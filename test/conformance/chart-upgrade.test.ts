import { execFile } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { CHART, findProgram, runHelm } from "../../scripts/helm.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { helmPath, missingHelm } from "../support/chart.ts";
import { definitionsServed } from "../support/definitions.ts";
import { kubectl } from "../support/kubectl.ts";

/** As docs/install.md upgrades and goes back. */
const KEPT = "--reset-then-reuse-values";

if (findProgram("jq") === undefined)
  console.log("skipped: the backup that docs/install.md shows: there is no jq");
const missing = (await missingAssets()) ?? missingHelm();
if (missing !== undefined) console.log(`skipped: the chart's upgrades: ${missing}`);

describe.skipIf(missing !== undefined)("an upgrade to a chart with values that this one has not", () => {
  let server: ApiServer;
  let newer: string;

  beforeAll(async () => {
    newer = join(await mkdtemp(join(tmpdir(), "naru-newer-")), "naru");
    await cp(CHART, newer, { recursive: true });
    appendFileSync(join(newer, "values.yaml"), "\nlater: { greeting: hello }\n");
    const schema = JSON.parse(readFileSync(join(newer, "values.schema.json"), "utf8")) as {
      properties: Record<string, object>;
    };
    schema.properties.later = { type: "object" };
    writeFileSync(join(newer, "values.schema.json"), JSON.stringify(schema));
    writeFileSync(join(newer, "templates/later.yaml"), LATER);
    server = await startApiServer();
    for (const name of [SYSTEM, SECOND]) await kubectl(server, ["create", "namespace", name]);
  });
  afterAll(async () => {
    await server?.stop();
    await rm(join(newer, ".."), { recursive: true, force: true });
  });

  test("keeps what was set and takes the rest from the new chart, and so does the way back", async () => {
    await helm("install", "naru", CHART, "--set", "replicas=3");
    await expect(helm("upgrade", "naru", newer, "--reuse-values")).rejects.toThrow(/nil pointer/);
    await helm("upgrade", "naru", newer, KEPT);
    expect(await shown("configmap/later", "{.data.greeting}")).toBe("hello");
    expect(await shown("deployment/naru-operator", "{.spec.replicas}")).toBe("3");

    const back = ["upgrade", "naru", CHART, "--set", "crds.enabled=false"];
    await expect(helm(...back, "--reuse-values")).rejects.toThrow(/later/);
    await helm(...back, KEPT);
    expect(await shown("deployment/naru-operator", "{.spec.replicas}")).toBe("3");
    expect(await definitionOwner()).toBe("naru");

    // What was set for the way back stays set, so the next upgrade has to take it away.
    await helm("upgrade", "naru", newer, KEPT, "--set", "crds.enabled=true");
    expect(await helm("get", "manifest", "naru")).toContain("kind: CustomResourceDefinition");
  });

  test("a second release leaves the definitions to the first", async () => {
    const second = ["install", "naru-b", CHART, "--set", "operator.watchNamespaces={default}"];
    await expect(helmIn(SECOND, ...second)).rejects.toThrow(OWNED);
    await helmIn(SECOND, ...second, "--set", "crds.enabled=false");
    expect(await definitionOwner()).toBe("naru");
  });

  test("a release by another name takes up what one before it left, if it is told to", async () => {
    await helm("uninstall", "naru");
    await expect(helm("install", "naru-c", CHART)).rejects.toThrow(OWNED);
    await helm("install", "naru-c", CHART, "--take-ownership");
    expect(await definitionOwner()).toBe("naru-c");
  });

  test.skipIf(findProgram("jq") === undefined)("what the page backs up comes back", async () => {
    const serving = async () =>
      JSON.parse(
        (await kubectl(server, ["get", "modelserving", "digits", "-o", "json"])).stdout,
      ) as KubeObject;
    await definitionsServed(server);
    await kubectl(server, ["apply", "-f", join(CHART, "../../crds/examples/modelserving.yaml")]);
    const status = JSON.stringify({ status: { revision: "abc" } });
    const patch = ["--subresource=status", "--type=merge", "--patch", status];
    await kubectl(server, ["patch", "modelserving", "digits", ...patch]);
    const before = await serving();
    expect(before.status).toEqual({ revision: "abc" });

    const [command = ""] =
      /^kubectl get modelservings --all-namespaces -o json [\s\S]*?(?=\n```)/m.exec(page()) ?? [];
    const folder = join(newer, "..");
    const env = {
      ...process.env,
      KUBECONFIG: server.kubeconfig,
      PATH: `${dirname(server.kubectl)}:${process.env.PATH}`,
    };
    await promisify(execFile)("sh", ["-c", command], { cwd: folder, env });
    await kubectl(server, ["delete", "modelservings", "--all", "--all-namespaces"]);
    const said = await kubectl(server, ["apply", "-f", join(folder, "modelservings.json")]);
    expect(said.stdout).toContain("modelserving.naru.dev/digits created");
    const after = await serving();
    expect(after.spec).toEqual(before.spec);
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    expect(after.status).toBeUndefined();
  });

  function helm(...args: string[]): Promise<string> {
    return helmIn(SYSTEM, ...args);
  }

  function helmIn(namespace: string, ...args: string[]): Promise<string> {
    return runHelm(helmPath(), [...args, "--namespace", namespace, "--kubeconfig", server.kubeconfig]);
  }

  async function shown(object: string, path: string): Promise<string> {
    return (await kubectl(server, ["-n", SYSTEM, "get", object, "-o", `jsonpath=${path}`])).stdout;
  }

  function definitionOwner(): Promise<string> {
    return shown("crd/modelservings.naru.dev", "{.metadata.annotations.meta\\.helm\\.sh/release-name}");
  }
});

test("docs/install.md upgrades in no other way", () => {
  const commands = page().match(/^helm upgrade(?:.*\\\n)*.*$/gm) ?? [];
  expect(commands.length).toBeGreaterThan(2);
  for (const command of commands) expect(command.split(/\s+/)).toContain(KEPT);
});

function page(): string {
  return readFileSync(join(CHART, "../../docs/install.md"), "utf8");
}

/** What Helm says of an object that another release holds. */
const OWNED = /modelservings\.naru\.dev.*(invalid ownership|cannot be imported)/s;
const SYSTEM = "naru-system";
const SECOND = "naru-b";
const LATER = `apiVersion: v1
kind: ConfigMap
metadata:
  name: later
  namespace: {{ .Release.Namespace }}
data:
  greeting: {{ .Values.later.greeting }}
`;
