import { afterEach, describe, expect, test } from "vitest";
import { openApiClient } from "../../../operator/kube/api-client.ts";
import { openKubeCluster } from "../../../operator/kube/cluster.ts";
import { readDiscovery } from "../../../operator/kube/discovery.ts";
import { eventually } from "../../support/eventually.ts";
import { json, lines, refusal, type ScriptedApi, startScriptedApi } from "../../support/scripted-api.ts";

const WIDGET = { apiVersion: "test.naru.dev/v1", kind: "Widget" };
const PATH = "/apis/test.naru.dev/v1/widgets";
const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
const group = (
  name: string | undefined,
  version: string,
  kinds: Record<string, string>,
  freshness = "Current",
) => ({
  metadata: name === undefined ? {} : { name },
  versions: [
    {
      version,
      freshness,
      resources: Object.entries(kinds).map(([resource, kind]) => ({
        resource,
        responseKind: { group: "", version: "", kind },
        scope: "Namespaced",
        verbs,
        subresources: [{ subresource: "status", verbs }],
      })),
    },
  ],
});
const discovery = (...items: unknown[]) => ({ kind: "APIGroupDiscoveryList", items });
const CORE = discovery(group(undefined, "v1", { configmaps: "ConfigMap" }));
const WIDGETS = group("test.naru.dev", "v1", { widgets: "Widget" });
const DEFINITIONS = group("apiextensions.k8s.io", "v1", {
  customresourcedefinitions: "CustomResourceDefinition",
});

describe("what an API server says it serves", () => {
  test("is read with paths, scopes and subresources, the core group's included", () => {
    const found = readDiscovery([CORE, discovery(WIDGETS)], new Map());
    expect(found.get("v1/ConfigMap")).toMatchObject({
      root: "/api/v1",
      plural: "configmaps",
      namespaced: true,
    });
    expect(found.get("test.naru.dev/v1/Widget")).toMatchObject({
      root: "/apis/test.naru.dev/v1",
      plural: "widgets",
    });
    expect(found.get("test.naru.dev/v1/Widget")?.subresources).toEqual(new Set(["status"]));
    expect(found.size).toBe(2);
  });

  test("keeps what was known of a group whose own server does not answer, and drops what is gone", () => {
    const before = readDiscovery([CORE, discovery(WIDGETS)], new Map());
    const stale = readDiscovery([discovery(group("test.naru.dev", "v1", {}, "Stale"))], before);
    expect([...stale.keys()]).toEqual(["test.naru.dev/v1/Widget"]);
    expect(readDiscovery([discovery(group("test.naru.dev", "v1", {}))], before).size).toBe(0);
  });

  test("is refused by name where the server is too old to say it", () => {
    expect(() => readDiscovery([{ kind: "APIGroupList" }], new Map())).toThrow(
      expect.objectContaining({ code: "ApiServerTooOld" }),
    );
  });
});

describe("the adapter on a scripted API server", () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  const widget = (name: string, resourceVersion: number) => ({
    metadata: { name, namespace: "default", uid: name, resourceVersion: String(resourceVersion) },
  });

  /** `groups` is what `/apis` answers now; changing it and telling of a definition makes the adapter look again. */
  const opened = async (
    timing = {},
    starting: Partial<{ groups: unknown[]; definitions: string[] }> = {},
  ) => {
    const groups: unknown[] = [WIDGETS, DEFINITIONS];
    const state = { groups, definitions: [] as string[], refuses: false, version: 10, ...starting };
    let tellDefinitions: (line: unknown) => void = () => undefined;
    const cuts: (() => void)[] = [];
    const api: ScriptedApi = await startScriptedApi(({ path, query }, response) => {
      if (path === "/api") return json(response, CORE);
      if (path === "/apis") return json(response, discovery(...state.groups));
      const isWidgets = path === PATH;
      if (isWidgets && state.refuses) return refusal(response, 404, "NotFound");
      const items = isWidgets ? [widget("a", 1)] : state.definitions.map((name) => widget(name, 1));
      if (!query.has("watch")) return json(response, { metadata: { resourceVersion: "10" }, items });
      lines(response, []);
      if (isWidgets) cuts.push(() => response.end());
      else tellDefinitions = (line) => response.write(`${JSON.stringify(line)}\n`);
    });
    ends.push(() => api.stop());
    const client = openApiClient(api.connection);
    ends.push(() => client.close());
    const cluster = await openKubeCluster({ client, log: silent, kinds: [WIDGET], timing });
    ends.push(() => cluster.stop());
    const told: string[] = [];
    await cluster.watch(WIDGET, ({ type, object }) => told.push(`${type} ${object.metadata.name}`));
    const watches = state.groups.includes(WIDGETS) ? 2 : 1;
    await eventually(
      "its watches",
      () => api.asked.filter(({ query }) => query.has("watch")).length === watches,
    );
    /** Resolves when what `/apis` answers now was read. */
    const lookAgain = async (): Promise<void> => {
      const looks = () => api.asked.filter(({ path }) => path === "/apis").length;
      const before = looks();
      state.version += 1;
      const object = { metadata: { name: "d", uid: "d", resourceVersion: String(state.version) } };
      tellDefinitions({ type: state.version === 11 ? "ADDED" : "MODIFIED", object });
      await eventually("another look", () => looks() > before + 1);
    };
    return { api, cluster, cut: () => cuts.splice(0).map((one) => one()), lookAgain, state, told };
  };

  test("a kind that the server leaves out while it is still watched stays served: a server may have just begun", async () => {
    const { cluster, lookAgain, state, told } = await opened();
    state.groups = [DEFINITIONS];
    await lookAgain();
    expect(cluster.serves(WIDGET)).toBe(true);
    expect(cluster.get({ ...WIDGET, namespace: "default", name: "a" })).toBeDefined();
    expect(told).toEqual(["Added a"]);
  });

  test("a kind that is left out and can't be read either is gone, and comes back when it is served again", async () => {
    const { cluster, cut, lookAgain, state, told } = await opened({ firstRetry: 1, believedRefusals: 2 });
    state.groups = [DEFINITIONS];
    state.refuses = true;
    cut();
    await eventually("what it held gone", () => told.includes("Deleted a"));
    await lookAgain();
    expect(cluster.serves(WIDGET)).toBe(false);
    expect(cluster.shows(WIDGET, "default")).toBe(false);
    expect(cluster.list(WIDGET)).toEqual([]);
    state.groups = [WIDGETS, DEFINITIONS];
    state.refuses = false;
    await lookAgain();
    await eventually("it told again", () => told.length === 3);
    expect(told).toEqual(["Added a", "Deleted a", "Added a"]);
    expect(cluster.serves(WIDGET)).toBe(true);
  });

  test("a kind whose definition is listed at the start is looked for until it is served, and not beyond", async () => {
    const starting = { groups: [DEFINITIONS] as unknown[], definitions: ["widgets.test.naru.dev"] };
    const { api, cluster, state, told } = await opened({}, starting);
    expect(cluster.serves(WIDGET)).toBe(false);
    state.groups = [WIDGETS, DEFINITIONS];
    await eventually("it served", () => told.includes("Added a"));
    expect(cluster.serves(WIDGET)).toBe(true);
    const looks = api.asked.filter(({ path }) => path === "/apis").length;
    expect(looks).toBeLessThanOrEqual(5);
  });

  const breaking = async (optional: boolean) => {
    const state = { broken: true, lists: 0 };
    const api = await startScriptedApi(({ path, query }, response) => {
      if (path === "/api") return json(response, CORE);
      if (path === "/apis") return json(response, discovery(WIDGETS, DEFINITIONS));
      if (query.has("watch")) return lines(response, []);
      const isWidgets = path === PATH;
      if (isWidgets) state.lists += 1;
      if (isWidgets && state.broken) return refusal(response, 500, "InternalError");
      json(response, { metadata: { resourceVersion: "10" }, items: isWidgets ? [widget("a", 1)] : [] });
    });
    ends.push(() => api.stop());
    const client = openApiClient(api.connection);
    ends.push(() => client.close());
    const timing = { firstRetry: 1, longestRetry: 5, believedRefusals: 3 };
    const opening = openKubeCluster({ client, log: silent, kinds: [{ ...WIDGET, optional }], timing });
    return { opening, state };
  };

  test("an add-on that can't be listed holds up nothing, is not served, and is once it can be", async () => {
    const { opening, state } = await breaking(true);
    const cluster = await opening;
    ends.push(() => cluster.stop());
    expect(cluster.serves(WIDGET)).toBe(false);
    expect(cluster.shows(WIDGET, "default")).toBe(false);
    expect(cluster.list(WIDGET)).toEqual([]);
    const told: string[] = [];
    await cluster.watch(WIDGET, ({ type, object }) => told.push(`${type} ${object.metadata.name}`));
    state.broken = false;
    await eventually("it listed", () => told.length > 0);
    expect(told).toEqual(["Added a"]);
    expect(cluster.serves(WIDGET)).toBe(true);
  });

  test("a kind that is no add-on is waited for, however long the server can't list it", async () => {
    const { opening, state } = await breaking(false);
    let open = false;
    void opening.then(() => {
      open = true;
    });
    await eventually("more tries than are believed", () => state.lists > 10);
    expect(open).toBe(false);
    state.broken = false;
    const cluster = await opening;
    ends.push(() => cluster.stop());
    expect(cluster.list(WIDGET)).toHaveLength(1);
  });

  test("what of a kind may be read in one namespace and not in another, is shown in the first alone", async () => {
    let mayReadB = false;
    const api = await startScriptedApi(({ path, query }, response) => {
      if (path === "/api") return json(response, CORE);
      if (path === "/apis") return json(response, discovery(WIDGETS, DEFINITIONS));
      if (path.includes("/namespaces/b/") && !mayReadB) return refusal(response, 403, "Forbidden");
      if (query.has("watch")) return lines(response, []);
      json(response, { metadata: { resourceVersion: "10" }, items: [] });
    });
    ends.push(() => api.stop());
    const client = openApiClient(api.connection);
    ends.push(() => client.close());
    const cluster = await openKubeCluster({
      client,
      log: silent,
      kinds: [WIDGET],
      namespaces: ["a", "b"],
      timing: { firstRetry: 1, longestRetry: 10 },
    });
    ends.push(() => cluster.stop());
    expect(cluster.serves(WIDGET)).toBe(true);
    expect([cluster.shows(WIDGET, "a"), cluster.shows(WIDGET, "b")]).toEqual([true, false]);
    mayReadB = true;
    await eventually("it shown", () => cluster.shows(WIDGET, "b"));
  });

  test("a server that is too old ends the opening with what to do", async () => {
    const api = await startScriptedApi((_, response) => json(response, { kind: "APIGroupList" }));
    ends.push(() => api.stop());
    const client = openApiClient(api.connection);
    ends.push(() => client.close());
    await expect(openKubeCluster({ client, log: silent, kinds: [] })).rejects.toMatchObject({
      code: "ApiServerTooOld",
    });
  });
});
