import { expect, test } from "vitest";
import { applyChildren } from "../../../operator/engine/children.ts";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import { Expectations } from "../../../operator/engine/expectations.ts";
import { type KubeObject, ownerReferenceTo } from "../../../operator/engine/objects.ts";
import { Writer } from "../../../operator/engine/writer.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const CONFIG_MAP = { apiVersion: "v1", kind: "ConfigMap" };

const widget = (name: string, uid: string): KubeObject => ({
  apiVersion: "example.dev/v1",
  kind: "Widget",
  metadata: { name, namespace: "default", uid },
});

const child = (owner: KubeObject): KubeObject => ({
  ...CONFIG_MAP,
  metadata: { name: "c", namespace: "default", ownerReferences: [ownerReferenceTo(owner)] },
});

/** What becomes of a widget's child whose name an object of `other` has. */
async function applied(other: KubeObject) {
  const own = widget("w", "new");
  const get: Cluster["get"] = ({ kind }) => (kind === own.kind ? own : child(other));
  const cluster = { get } as Pick<Cluster, "get"> as Cluster;
  const expectations = new Expectations(new FakeClock());
  const writer = new Writer({ cluster, expectations, mayWrite: () => true, wrote: () => undefined });
  const told: string[] = [];
  const tell = ({ reason }: { reason: string }) => void told.push(reason);
  const failures = await applyChildren(own, [child(own)], cluster, writer, tell);
  return { codes: failures.map(({ code }) => code), told };
}

test("a name that another resource has is a failure that somebody is told of", async () => {
  expect(await applied(widget("another", "other"))).toEqual({ codes: ["NameTaken"], told: ["NameTaken"] });
});

test("a name that an earlier resource of this name still has will be free: nobody is alarmed", async () => {
  expect(await applied(widget("w", "old"))).toEqual({ codes: ["Conflict"], told: [] });
});
