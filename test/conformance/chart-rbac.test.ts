import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ObjectKind } from "../../operator/engine/objects.ts";
import { SIGNING_KEY_SECRET } from "../../operator/kube/signing-key-secret.ts";
import { modelServingKind } from "../../operator/model-serving/kind.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { missingHelm, rendered } from "../support/chart.ts";
import { definitionsServed } from "../support/definitions.ts";
import { kubectl } from "../support/kubectl.ts";

const SYSTEM = "naru-system";
const TEAM = "team-a";
const OTHER_TEAM = "team-b";
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
/** Verbs by which rights grow. */
const GROWING = ["escalate", "bind", "impersonate", "approve", "sign", "attest", "use", "*"];
/** What server-side apply of a child, a watch on it and its pruning take. */
const CHILD = ["list", "watch", "create", "patch", "delete"];

/** Kinds that a bare API server does not have. */
const ADD_ONS: Readonly<Record<string, string>> = {
  ScaledObject: "scaledobjects",
  ServiceMonitor: "servicemonitors",
  HTTPRoute: "httproutes",
  GRPCRoute: "grpcroutes",
};

const missing = (await missingAssets()) ?? missingHelm();
if (missing !== undefined) console.log(`skipped: the operator's rights on a real API server: ${missing}`);

describe.skipIf(missing !== undefined)("the operator's rights, asked of a real API server", () => {
  let server: ApiServer;
  /** `group/resource` of everything that is served, subresources included, and of the add-ons. */
  let resources: Map<string, string>;

  beforeAll(async () => {
    server = await startApiServer();
    for (const name of [SYSTEM, TEAM, OTHER_TEAM]) await kubectl(server, ["create", "namespace", name]);
    const definitions = (await rendered()).filter(({ kind }) => kind === "CustomResourceDefinition");
    await apply(definitions);
    await definitionsServed(server);
    resources = await discover();
  });
  afterAll(async () => server?.stop());

  test("are these and no others, where all namespaces are watched", async () => {
    await bind([]);
    expect(resources.size).toBeGreaterThan(60);
    expect(await allowed(TEAM)).toEqual([...watched(), ...CLUSTER].sort());
    expect(await allowed(SYSTEM)).toEqual([...watched(), ...CLUSTER, ...OWN].sort());
  });

  test("reach no further than the namespaces that are named", async () => {
    await bind([TEAM]);
    expect(await allowed(TEAM)).toEqual([...watched(), ...CLUSTER].sort());
    expect(await allowed(OTHER_TEAM)).toEqual(CLUSTER);
    expect(await allowed(SYSTEM)).toEqual([...CLUSTER, ...EVENTS, ...OWN].sort());
  });

  test("hold two objects by name: the lease, and the key that signs what routers are told", async () => {
    await bind([]);
    const may = (verb: string, resource: string, name: string, namespace = SYSTEM) => {
      const [group = "", plural = ""] = resource.split("/");
      return ask(OPERATOR, { verb, group, resource: plural, name, namespace });
    };
    expect(await may("get", "/secrets", SIGNING_KEY_SECRET)).toBe(true);
    expect(await may("get", "/secrets", "another")).toBe(false);
    expect(await may("get", "/secrets", SIGNING_KEY_SECRET, TEAM)).toBe(false);
    for (const verb of ["update", "patch", "delete"]) {
      expect(await may(verb, "/secrets", SIGNING_KEY_SECRET), verb).toBe(false);
    }
    for (const verb of ["get", "update"]) {
      expect(await may(verb, "coordination.k8s.io/leases", "naru-operator"), verb).toBe(true);
      expect(await may(verb, "coordination.k8s.io/leases", "kube-scheduler"), verb).toBe(false);
      expect(await may(verb, "coordination.k8s.io/leases", "naru-operator", TEAM), verb).toBe(false);
    }
  });

  test("of people follow from what they may in a namespace", async () => {
    const objects = (await rendered()).filter(({ kind }) => kind === "ClusterRole");
    const role = (end: string) =>
      objects.find(({ metadata }) => metadata.name === `naru-operator-${end}`) as unknown as {
        metadata: { labels: Record<string, string> };
        rules: { apiGroups: string[]; verbs: string[] }[];
      };
    expect(Object.keys(role("view").metadata.labels)).toContain(
      "rbac.authorization.k8s.io/aggregate-to-view",
    );
    expect(Object.keys(role("edit").metadata.labels)).not.toContain(
      "rbac.authorization.k8s.io/aggregate-to-view",
    );
    const verbs = role("view").rules.flatMap((rule) => rule.verbs);
    expect([...new Set(verbs)].sort()).toEqual(["get", "list", "watch"]);
    const groups = ["view", "edit"].flatMap((end) => role(end).rules.flatMap(({ apiGroups }) => apiGroups));
    expect([...new Set(groups)]).toEqual(["naru.dev"]);
  });

  /** Every right of the operator's account in a namespace that not every account has. */
  async function allowed(namespace: string): Promise<string[]> {
    const questions = [...resources].flatMap(([name, scope]) => {
      const [group = "", resource = ""] = name.split("|");
      const inNamespace = scope === "Namespaced" ? { namespace } : {};
      return [...VERBS, ...GROWING].map((verb) => ({ verb, group, resource, ...inNamespace }));
    });
    const rights: string[] = [];
    for (let from = 0; from < questions.length; from += 64) {
      const some = questions.slice(from, from + 64);
      const answers = await Promise.all(some.map((question) => ask(OPERATOR, question)));
      const ours = some.filter((_, index) => answers[index]);
      const everybodys = await Promise.all(ours.map((question) => ask(STRANGER, question)));
      rights.push(
        ...ours
          .filter((_, index) => !everybodys[index])
          .map(({ verb, group, resource }) => right(verb, group, resource)),
      );
    }
    return rights.sort();
  }

  async function ask(
    user: string,
    {
      resource,
      ...question
    }: { verb: string; group: string; resource: string; name?: string; namespace?: string },
  ): Promise<boolean> {
    const [plural = "", subresource] = resource.split("/");
    const resourceAttributes = {
      ...question,
      resource: plural,
      ...(subresource === undefined ? {} : { subresource }),
    };
    const groups = ["system:serviceaccounts", `system:serviceaccounts:${SYSTEM}`, "system:authenticated"];
    const answer = await server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user: `system:serviceaccount:${SYSTEM}:${user}`, groups, resourceAttributes },
    });
    expect(answer.status).toBe(201);
    return (answer.body.status as { allowed: boolean }).allowed;
  }

  /** The rights of the chart with these values, and nothing left of those before. */
  async function bind(namespaces: readonly string[]): Promise<void> {
    const label = ["-l", "app.kubernetes.io/part-of=naru", "--ignore-not-found"];
    await kubectl(server, ["delete", "clusterroles,clusterrolebindings", ...label]);
    await kubectl(server, ["delete", "roles,rolebindings", "--all-namespaces", ...label]);
    const set =
      namespaces.length === 0 ? [] : ["--set", `operator.watchNamespaces={${namespaces.join(",")}}`];
    const objects = await rendered(...set);
    await apply(objects.filter(({ apiVersion }) => apiVersion.startsWith("rbac.")));
  }

  async function apply(items: readonly object[]): Promise<void> {
    const list = { apiVersion: "v1", kind: "List", items };
    await kubectl(server, ["apply", "--server-side", "-f", "-"], JSON.stringify(list));
  }

  /** What the operator may where it watches, from what its controllers read and own. */
  function watched(): string[] {
    const settings = { runtimeImage: "registry.example/naru/runtime:1", namespace: SYSTEM };
    const kind = modelServingKind(settings, { publicKeys: [], sign: () => "" });
    const owned = kind.owns.flatMap((child) => CHILD.map((verb) => rightOn(verb, child)));
    const read = kind.reads.flatMap((each) => ["list", "watch"].map((verb) => rightOn(verb, each.kind)));
    return [
      ...owned,
      ...read,
      "list naru.dev/modelservings",
      "watch naru.dev/modelservings",
      "update naru.dev/modelservings/status",
      "update naru.dev/modelservings/finalizers",
      ...EVENTS,
    ];
  }

  function rightOn(verb: string, { apiVersion, kind }: ObjectKind): string {
    const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
    const plural = ADD_ONS[kind] ?? plurals.get(`${group}|${kind}`);
    if (plural === undefined) throw new Error(`${apiVersion} ${kind} is not served`);
    return right(verb, group, plural);
  }

  const plurals = new Map<string, string>();

  async function discover(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const path of ["/api/v1", ...(await groupVersions())]) {
      const answer = await server.request("GET", path);
      const group = path.startsWith("/apis/") ? (path.split("/")[2] ?? "") : "";
      const list = answer.body.resources as { name: string; kind: string; namespaced: boolean }[];
      for (const { name, kind, namespaced } of list) {
        found.set(`${group}|${name}`, namespaced ? "Namespaced" : "Cluster");
        if (!name.includes("/")) plurals.set(`${group}|${kind}`, name);
      }
    }
    found.set("naru.dev|modelservings/finalizers", "Namespaced");
    const addOns = {
      "keda.sh": ["scaledobjects"],
      "monitoring.coreos.com": ["servicemonitors"],
      "gateway.networking.k8s.io": ["httproutes", "grpcroutes"],
    };
    for (const [group, names] of Object.entries(addOns)) {
      for (const name of names) found.set(`${group}|${name}`, "Namespaced");
    }
    // Nothing is served under these names: they are whom one can be let act as.
    for (const name of ["users", "groups"]) found.set(`|${name}`, "Cluster");
    return found;
  }

  async function groupVersions(): Promise<string[]> {
    const answer = await server.request("GET", "/apis");
    const groups = answer.body.groups as { versions: { groupVersion: string }[] }[];
    return groups.flatMap(({ versions }) => versions.map(({ groupVersion }) => `/apis/${groupVersion}`));
  }
});

const OPERATOR = "naru-operator";
const STRANGER = "default";
const CLUSTER = [
  "list apiextensions.k8s.io/customresourcedefinitions",
  "watch apiextensions.k8s.io/customresourcedefinitions",
];
const EVENTS = ["create /events", "patch /events"];
/** Beside the two objects that it holds by name. */
const OWN = ["create /secrets", "create coordination.k8s.io/leases"];

function right(verb: string, group: string, resource: string): string {
  return `${verb} ${group}/${resource}`;
}
