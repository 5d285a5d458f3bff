import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, ClusterError, type WatchEvent } from "../../operator/engine/cluster.ts";
import { type KubeObject, type ObjectRef, ownerReferenceTo, refOf } from "../../operator/engine/objects.ts";
import { eventually } from "../support/eventually.ts";

/** What the contract suite needs of an adapter: the cluster, and a user beside the operator. */
export interface ClusterHarness {
  readonly cluster: Cluster;
  /** A namespace that nothing else uses. */
  readonly namespace: string;
  /** A valid resource of a kind with a status, of this name in `namespace`. `version` 1 or 2 gives `spec`s that differ. */
  resource(name: string, version: 1 | 2): KubeObject;
  /** Creates or changes a resource as its user does (`kubectl apply`, writing the file); resolves once it is taken. */
  put(resource: KubeObject): Promise<void>;
  /** Deletes a resource as its user does. */
  remove(ref: ObjectRef): Promise<void>;
  /** Applies as another field manager; left out by an adapter that has none. */
  applyAs?(manager: string, object: KubeObject): Promise<void>;
  /** Why what a deleted resource owned stays here: nothing runs that collects it. */
  readonly uncollected?: string;
  stop(): Promise<void>;
}

/** Every adapter of Cluster passes this. Where adapters could differ, it holds what a kube-apiserver does. */
export function clusterContract(name: string, make: () => Promise<ClusterHarness>): void {
  describe(`Cluster contract: ${name}`, () => {
    let harness: ClusterHarness;
    let cluster: Cluster;

    beforeEach(async () => {
      harness = await make();
      cluster = harness.cluster;
    });
    afterEach(() => harness.stop());

    const configMap = (
      name: string,
      data: Record<string, string>,
      labels?: Record<string, string>,
    ): KubeObject => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: harness.namespace, ...(labels === undefined ? {} : { labels }) },
      data,
    });
    const configMaps = () => ({ apiVersion: "v1", kind: "ConfigMap", namespace: harness.namespace });
    /** As soon as the cache shows at least that version of it. */
    const seen = (object: KubeObject): Promise<KubeObject> =>
      eventually(`${object.kind} ${object.metadata.name} in the cache`, () => {
        const cached = cluster.get(refOf(object));
        return cached !== undefined && versionOf(cached) >= versionOf(object) && cached;
      });
    const gone = (ref: ObjectRef): Promise<true> =>
      eventually(`${ref.kind} ${ref.name} gone`, () => cluster.get(ref) === undefined);
    const created = async (name: string): Promise<KubeObject> => {
      const resource = harness.resource(name, 1);
      await harness.put(resource);
      return eventually(`resource ${name}`, () => cluster.get(refOf(resource)));
    };

    describe("get and list", () => {
      test("get answers undefined for what is not there", () => {
        expect(cluster.get(refOf(configMap("absent", {})))).toBeUndefined();
      });

      test("get answers what was applied, once the cache has it", async () => {
        const { object } = await cluster.apply(configMap("a", { key: "1" }));
        expect(await seen(object)).toMatchObject({
          kind: "ConfigMap",
          data: { key: "1" },
          metadata: { name: "a" },
        });
      });

      test("list is narrowed by namespace and exact labels, in order of name", async () => {
        await cluster.apply(configMap("b", {}, { side: "left", colour: "red" }));
        await cluster.apply(configMap("c", {}, { side: "right" }));
        await cluster.apply(configMap("a", {}, { side: "left" }));
        await eventually("three in the list", () => cluster.list(configMaps()).length >= 3);
        const names = (labels: Record<string, string>) =>
          cluster.list({ ...configMaps(), labels }).map((object) => object.metadata.name);
        expect(names({ side: "left" })).toEqual(["a", "b"]);
        expect(names({ side: "left", colour: "red" })).toEqual(["b"]);
        expect(names({ side: "lef" })).toEqual([]);
        expect(cluster.list({ ...configMaps(), namespace: "elsewhere-entirely" })).toEqual([]);
      });
    });

    describe("apply", () => {
      test("creates with uid, resourceVersion and creationTimestamp", async () => {
        const { object, takenFrom } = await cluster.apply(configMap("a", { key: "1" }));
        expect(object.metadata.uid).toMatch(/./);
        expect(object.metadata.resourceVersion).toMatch(/^[1-9]\d*$/);
        expect(object.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(takenFrom).toEqual([]);
      });

      test("changes values, keeps the uid, and raises resourceVersion", async () => {
        const { object: first } = await cluster.apply(configMap("a", { key: "1" }));
        const { object: second } = await cluster.apply(configMap("a", { key: "2" }));
        expect(second).toMatchObject({ data: { key: "2" }, metadata: { uid: first.metadata.uid } });
        expect(versionOf(second)).toBeGreaterThan(versionOf(first));
      });

      test("what changes nothing leaves resourceVersion as it was", async () => {
        const { object: first } = await cluster.apply(configMap("a", { key: "1" }, { side: "left" }));
        const { object: second } = await cluster.apply(configMap("a", { key: "1" }, { side: "left" }));
        expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      });

      test("drops fields that were applied before and no longer are", async () => {
        await cluster.apply(configMap("a", { kept: "1", dropped: "1" }, { side: "left", colour: "red" }));
        const { object } = await cluster.apply(configMap("a", { kept: "1" }, { side: "left" }));
        expect(object.data).toEqual({ kept: "1" });
        expect(object.metadata.labels).toEqual({ side: "left" });
      });

      test("never writes status", async () => {
        const service: KubeObject = {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: "a", namespace: harness.namespace },
          spec: { ports: [{ name: "http", port: 80, targetPort: "http" }], selector: { app: "nothing" } },
          status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
        };
        const { object } = await cluster.apply(service);
        expect(JSON.stringify(object.status ?? {})).not.toContain("192.0.2.1");
      });

      test("with a resourceVersion an object that is at another is left alone, and one that is gone made anew", async () => {
        const at = (object: KubeObject, resourceVersion: string): KubeObject => ({
          ...object,
          metadata: { ...object.metadata, resourceVersion },
        });
        const { object: first } = await cluster.apply(configMap("a", { key: "1" }));
        const old = first.metadata.resourceVersion ?? "";
        const { object: second } = await cluster.apply(at(configMap("a", { key: "2" }), old));
        expect(second.data).toEqual({ key: "2" });
        const late = cluster.apply(at(configMap("a", { key: "3" }), old));
        await expect(late).rejects.toSatisfy(isError("Conflict"));
        const { object: anew } = await cluster.apply(at(configMap("gone", { key: "1" }), old));
        expect(anew.data).toEqual({ key: "1" });
        const { object: last } = await cluster.apply(configMap("a", { key: "2" }));
        expect(last.metadata.resourceVersion).toBe(second.metadata.resourceVersion);
      });

      test("a name that is not one is Invalid", async () => {
        await expect(cluster.apply(configMap("Not_A_Name", {}))).rejects.toSatisfy(isError("Invalid"));
      });

      test("a kind that is not served is NotServed, and serves and shows say so", async () => {
        const kind = { apiVersion: "nothing.example.com/v1", kind: "Nothing" };
        expect(cluster.serves(kind)).toBe(false);
        expect(cluster.shows(kind, harness.namespace)).toBe(false);
        const known = { apiVersion: "v1", kind: "ConfigMap" };
        (await cluster.watch(known, () => undefined)).stop();
        expect(cluster.serves(known)).toBe(true);
        expect(cluster.shows(known, harness.namespace)).toBe(true);
        const object = { ...kind, metadata: { name: "a", namespace: harness.namespace } };
        await expect(cluster.apply(object)).rejects.toSatisfy(isError("NotServed"));
      });

      test("leaves other managers' fields, takes back its own, and names who had changed them", async ({
        skip,
      }) => {
        const applyAs = harness.applyAs?.bind(harness);
        if (applyAs === undefined) return skip("the adapter has one field manager only");
        await cluster.apply(configMap("a", { ours: "1", shared: "1" }));
        await applyAs("kubectl-edit", configMap("a", { ours: "theirs", theirs: "1", shared: "1" }));
        const { object, takenFrom } = await cluster.apply(configMap("a", { ours: "1", shared: "1" }));
        expect(object.data).toEqual({ ours: "1", theirs: "1", shared: "1" });
        expect(takenFrom).toEqual(["kubectl-edit"]);
        const again = await cluster.apply(configMap("a", { ours: "1" }));
        expect(again.object.data).toEqual({ ours: "1", theirs: "1", shared: "1" });
        expect(again.takenFrom).toEqual([]);
      });
    });

    describe("watch", () => {
      test("tells what is there, then every change in order, and nothing after stop", async () => {
        const { object: there } = await cluster.apply(configMap("there", { key: "1" }));
        await seen(there);
        const told: string[] = [];
        const watch = await cluster.watch(configMaps(), ({ type, object }) => {
          if (object.metadata.name === "kube-root-ca.crt") return;
          const { key } = (object.data ?? {}) as Record<string, string>;
          told.push(`${type} ${object.metadata.name} ${key}`);
        });
        expect(told).toEqual(["Added there 1"]);
        // Each change is awaited, since two in one moment may be seen as one.
        await seen((await cluster.apply(configMap("new", { key: "1" }))).object);
        await seen((await cluster.apply(configMap("new", { key: "2" }))).object);
        await cluster.delete(refOf(there));
        await gone(refOf(there));
        await eventually("the deletion told", () => told.length === 4);
        watch.stop();
        await seen((await cluster.apply(configMap("unseen", { key: "1" }))).object);
        expect(told).toEqual(["Added there 1", "Added new 1", "Modified new 2", "Deleted there 1"]);
      });

      test("get and list already show a change when its handler is called", async () => {
        const behind: string[] = [];
        const told: string[] = [];
        const watch = await cluster.watch(configMaps(), ({ type, object }) => {
          told.push(`${type} ${object.metadata.name}`);
          const cached = cluster.get(refOf(object));
          const listed = cluster
            .list(configMaps())
            .some((other) => other.metadata.name === object.metadata.name);
          const current = cached !== undefined && versionOf(cached) >= versionOf(object);
          if ((type !== "Deleted") !== (current && listed)) behind.push(`${type} ${object.metadata.name}`);
        });
        await cluster.apply(configMap("a", { key: "1" }));
        await eventually("creation told", () => told.includes("Added a"));
        await cluster.delete(refOf(configMap("a", {})));
        await eventually("deletion told", () => told.includes("Deleted a"));
        watch.stop();
        expect(behind).toEqual([]);
      });

      test("an object that comes to match the labels is Added, one that no longer does is Deleted", async () => {
        const told: string[] = [];
        const query = { ...configMaps(), labels: { side: "left" } };
        const watch = await cluster.watch(query, ({ type, object }: WatchEvent) => {
          told.push(`${type} ${object.metadata.name}`);
        });
        await seen((await cluster.apply(configMap("a", {}, { side: "right" }))).object);
        await seen((await cluster.apply(configMap("a", {}, { side: "left" }))).object);
        await seen((await cluster.apply(configMap("a", {}, { side: "right" }))).object);
        await eventually("both told", () => told.length >= 2);
        watch.stop();
        expect(told).toEqual(["Added a", "Deleted a"]);
      });

      test("a handler that throws ends neither its own watch nor another's", async () => {
        const first: string[] = [];
        const second: string[] = [];
        const watches = [
          await cluster.watch({ ...configMaps(), labels: { side: "left" } }, ({ object }) => {
            first.push(object.metadata.name);
            throw new Error("thrown by a handler, on purpose");
          }),
          await cluster.watch({ ...configMaps(), labels: { side: "left" } }, ({ object }) => {
            second.push(object.metadata.name);
          }),
        ];
        await cluster.apply(configMap("a", {}, { side: "left" }));
        await cluster.apply(configMap("b", {}, { side: "left" }));
        await eventually("both told to both", () => first.length === 2 && second.length === 2);
        for (const watch of watches) watch.stop();
        expect(second).toEqual(["a", "b"]);
      });

      test("a handler that writes what it was told of is told of that write too", async () => {
        const told: string[] = [];
        const writes: Promise<unknown>[] = [];
        const watch = await cluster.watch(configMaps(), ({ object }) => {
          if (object.metadata.name !== "a") return;
          const { key } = object.data as { key: string };
          told.push(key);
          if (Number(key) < 3) writes.push(cluster.apply(configMap("a", { key: String(Number(key) + 1) })));
        });
        await cluster.apply(configMap("a", { key: "1" }));
        await eventually("all of them told", () => told.includes("3"));
        await Promise.all(writes);
        watch.stop();
        expect(told).toEqual(["1", "2", "3"]);
      });

      test("a kind that is not served has an empty watch", async () => {
        const told: WatchEvent[] = [];
        const kind = { apiVersion: "nothing.example.com/v1", kind: "Nothing" };
        const watch = await cluster.watch(kind, (event) => told.push(event));
        watch.stop();
        expect(told).toEqual([]);
      });
    });

    describe("resources and their status", () => {
      test("updateStatus writes status, and neither spec nor generation", async () => {
        const resource = await created("a");
        const answer = await cluster.updateStatus({
          ...resource,
          spec: { ignored: true },
          status: { observedGeneration: 1, conditions: [] },
        });
        expect(answer.status).toMatchObject({ observedGeneration: 1 });
        const cached = await seen(answer);
        expect(cached.spec).toEqual(resource.spec);
        expect(cached.metadata.generation).toBe(resource.metadata.generation);
        expect(cached.status).toMatchObject({ observedGeneration: 1 });
      });

      test("updateStatus from a stale copy is a Conflict and changes nothing", async () => {
        const resource = await created("a");
        const answer = await cluster.updateStatus({ ...resource, status: { observedGeneration: 1 } });
        const stale = { ...resource, status: { observedGeneration: 7 } };
        await expect(cluster.updateStatus(stale)).rejects.toSatisfy(isError("Conflict"));
        expect((await seen(answer)).status).toMatchObject({ observedGeneration: 1 });
      });

      test("updateStatus of what is not there is NotFound", async () => {
        const resource = await created("a");
        await harness.remove(refOf(resource));
        await gone(refOf(resource));
        await expect(cluster.updateStatus({ ...resource, status: {} })).rejects.toSatisfy(
          isError("NotFound"),
        );
      });

      test("generation starts at 1 and rises with spec, not with labels or status", async () => {
        const resource = await created("a");
        expect(resource.metadata.generation).toBe(1);
        const first = harness.resource("a", 1);
        await harness.put({ ...first, metadata: { ...first.metadata, labels: { side: "left" } } });
        const labelled = await eventually(
          "the label",
          () => cluster.get(refOf(first))?.metadata.labels?.side === "left" && cluster.get(refOf(first)),
        );
        expect(labelled.metadata.generation).toBe(1);
        const second = harness.resource("a", 2);
        await harness.put({ ...second, metadata: { ...second.metadata, labels: { side: "left" } } });
        await eventually("generation 2", () => cluster.get(refOf(first))?.metadata.generation === 2);
      });

      test("a status outlives the user's next change of spec", async () => {
        const resource = await created("a");
        await seen(await cluster.updateStatus({ ...resource, status: { observedGeneration: 1 } }));
        await harness.put(harness.resource("a", 2));
        const changed = await eventually("generation 2", () => {
          const cached = cluster.get(refOf(resource));
          return cached?.metadata.generation === 2 && cached;
        });
        expect(changed.status).toMatchObject({ observedGeneration: 1 });
        expect(changed.metadata.uid).toBe(resource.metadata.uid);
      });
    });

    describe("delete", () => {
      test("deletes, and what is absent is a success", async () => {
        const { object } = await cluster.apply(configMap("a", {}));
        await seen(object);
        await cluster.delete(refOf(object));
        await gone(refOf(object));
        await cluster.delete(refOf(object));
      });

      test("with a uid, another object of that name is left alone", async () => {
        const { object: first } = await cluster.apply(configMap("a", { key: "1" }));
        await cluster.delete(refOf(first));
        const { object: second } = await cluster.apply(configMap("a", { key: "2" }));
        expect(second.metadata.uid).not.toBe(first.metadata.uid);
        await cluster.delete(refOf(first), { uid: first.metadata.uid ?? "" });
        expect(await seen(second)).toMatchObject({
          data: { key: "2" },
          metadata: { uid: second.metadata.uid },
        });
        await cluster.delete(refOf(second), { uid: second.metadata.uid ?? "" });
        await gone(refOf(second));
      });

      test("the children of a resource that its user deletes go, others stay", async ({ skip }) => {
        if (harness.uncollected !== undefined) return skip(harness.uncollected);
        const resource = await created("a");
        const child = configMap("child", {});
        child.metadata.ownerReferences = [ownerReferenceTo(resource)];
        await seen((await cluster.apply(child)).object);
        const { object: other } = await cluster.apply(configMap("other", {}));
        await seen(other);
        await harness.remove(refOf(resource));
        await gone(refOf(child));
        expect(cluster.get(refOf(other))?.metadata.uid).toBe(other.metadata.uid);
      });
    });

    test("event never throws, whatever it is about", async () => {
      const resource = await created("a");
      const about = refOf(resource);
      cluster.event({ about, type: "Normal", reason: "Tested", message: "m" });
      for (let i = 0; i < 50; i++)
        cluster.event({ about, type: "Warning", reason: "Repeated", message: "m" });
      cluster.event({ about: { ...about, name: "absent" }, type: "Warning", reason: "Lost", message: "m" });
      cluster.event({
        about,
        uid: "no-such-uid",
        type: "Warning",
        reason: "Long",
        message: "m".repeat(5000),
      });
    });
  });
}

function versionOf(object: KubeObject): bigint {
  return BigInt(object.metadata.resourceVersion ?? 0);
}

function isError(code: string): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof ClusterError && thrown.code === code;
}
