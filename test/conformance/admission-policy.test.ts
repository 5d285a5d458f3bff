import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { definitionsServed } from "../support/definitions.ts";
import { eventually } from "../support/eventually.ts";
import { kubectl, tryKubectl } from "../support/kubectl.ts";

const ROOT = join(import.meta.dirname, "../..");
const NAMESPACE = "team-a";
const RULES = {
  /** Edits ModelServings and nothing else. */
  author: [{ apiGroups: ["naru.dev"], resources: ["modelservings"], verbs: ["*"] }],
  /** Makes pods as well, as whatever account. */
  developer: [
    { apiGroups: ["naru.dev"], resources: ["modelservings"], verbs: ["*"] },
    { apiGroups: [""], resources: ["pods"], verbs: ["create"] },
  ],
  /** Was given one account. */
  reader: [
    { apiGroups: ["naru.dev"], resources: ["modelservings"], verbs: ["*"] },
    { apiGroups: [""], resources: ["serviceaccounts"], resourceNames: ["models-reader"], verbs: ["use"] },
  ],
};
type User = keyof typeof RULES;

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the admission policy of docs/security: ${missing}`);

describe.skipIf(missing !== undefined)("the policy on service accounts, on a real API server", () => {
  let server: ApiServer;

  beforeAll(async () => {
    server = await startApiServer();
    await kubectl(server, ["create", "namespace", NAMESPACE]);
    const definition = await readFile(join(ROOT, "crds/manifests/naru.dev_modelservings.yaml"), "utf8");
    await kubectl(server, ["apply", "--server-side", "-f", "-"], definition);
    await definitionsServed(server);
    await kubectl(server, ["apply", "-f", join(ROOT, "docs/security/service-accounts.yaml")]);
    const rbac = Object.entries(RULES).flatMap(([name, rules]) => {
      const apiVersion = "rbac.authorization.k8s.io/v1";
      const metadata = { name, namespace: NAMESPACE };
      const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name };
      const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }];
      return [
        { apiVersion, kind: "Role", metadata, rules },
        { apiVersion, kind: "RoleBinding", metadata, roleRef, subjects },
      ];
    });
    await kubectl(
      server,
      ["apply", "-f", "-"],
      JSON.stringify({ apiVersion: "v1", kind: "List", items: rbac }),
    );
    // A policy is in force some moments after it was stored.
    await eventually(
      "the policy is in force",
      async () => (await write("author", "probe", "deployer")) !== "",
    );
  });
  afterAll(async () => server?.stop());

  /** What the server says of a ModelServing that a user writes; "" where it is stored. */
  async function write(user: User, name: string, serviceAccountName?: string, replicas = 1): Promise<string> {
    const resource = {
      apiVersion: "naru.dev/v1alpha1",
      kind: "ModelServing",
      metadata: { name, namespace: NAMESPACE },
      spec: {
        model: { uri: "s3://models/digits/2/model.onnx", sha256: "4b1f".repeat(16) },
        replicas,
        ...(serviceAccountName === undefined ? {} : { pod: { serviceAccountName } }),
      },
    };
    const args = ["apply", "--as", user, "--server-side", "-f", "-"];
    const { code, stderr } = await tryKubectl(server, args, JSON.stringify(resource));
    return code === 0 ? "" : stderr;
  }

  test("lets everybody leave the account out", async () => {
    for (const user of ["author", "developer", "reader"] as const) {
      expect(await write(user, `${user}-plain`), user).toBe("");
    }
  });

  test("refuses an account to who may neither use it nor make pods, with what to do", async () => {
    expect(await write("author", "a", "deployer")).toContain("ask for the verb use on that service account");
    expect(await write("author", "author-plain", "deployer")).toContain("pods would run as deployer");
    expect(await write("reader", "b", "deployer")).toContain("pods would run as deployer");
  });

  test("lets those name one who may make pods, or may use it", async () => {
    expect(await write("developer", "c", "deployer")).toBe("");
    expect(await write("reader", "d", "models-reader")).toBe("");
  });

  test("lets others edit a resource whose account stays", async () => {
    expect(await write("developer", "e", "deployer")).toBe("");
    expect(await write("author", "e", "deployer", 3)).toBe("");
  });
});
