import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Cluster, ClusterError } from "../../../operator/engine/cluster.ts";
import { Controller } from "../../../operator/engine/controller.ts";
import type { ControlledKind } from "../../../operator/engine/kind.ts";
import type { KubeObject, ObjectRef } from "../../../operator/engine/objects.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import type { MemoryCluster } from "../../support/memory-cluster.ts";
import {
  configMapOf,
  configMapRef,
  MemoryLog,
  memoryCluster,
  settled,
  specOf,
  startWidgets,
  widget,
  widgetKind,
  widgetRef,
  writesOf,
} from "../../support/widgets.ts";

/** A rollout in steps, as a canary is one: the next step is claimed in status once the child serves the current one. */
function steppingKind(): ControlledKind<unknown> {
  return widgetKind({
    observe: async (resource, cluster) => stepOf(cluster.get(configMapRef(`${resource.metadata.name}-a`))),
    decide: (resource, observed) => {
      const claimed = statusStep(resource);
      const { steps } = specOf<{ steps: number }>(resource);
      const step = Math.min(steps, observed === claimed ? claimed + 1 : claimed);
      return {
        children: [configMapOf(resource, "a", { step: String(step) }), configMapOf(resource, `at-${step}`)],
        status: { step },
        events: [],
      };
    },
  });
}

function stepOf(child: KubeObject | undefined): number {
  return Number((child?.data as { step?: string } | undefined)?.step ?? 0);
}

function statusStep(resource: KubeObject | undefined): number {
  return (resource?.status as { step?: number } | undefined)?.step ?? 0;
}

/** The cluster as one process sees it, until that process is killed: then nothing comes through, either way. */
function mortal(cluster: MemoryCluster): { cluster: Cluster; kill(): void } {
  let alive = true;
  const never = new Promise<never>(() => undefined);
  const guarded = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await answer;
    return alive ? value : never;
  };
  return {
    kill: () => {
      alive = false;
    },
    cluster: {
      get: (ref) => cluster.get(ref),
      list: (query) => cluster.list(query),
      watch: (query, onChange) => cluster.watch(query, (event) => alive && onChange(event)),
      apply: (object) => (alive ? guarded(cluster.apply(object)) : never),
      updateStatus: (object) => (alive ? guarded(cluster.updateStatus(object)) : never),
      delete: (ref, options) => (alive ? guarded(cluster.delete(ref, options)) : never),
      event: (event) => cluster.event(event),
      serves: (kind) => cluster.serves(kind),
      hides: () => cluster.hides(),
      shows: (kind, namespace) => cluster.shows(kind, namespace),
    },
  };
}

const STEPS = 4;

describe("a process killed at any write", () => {
  /** Runs the rollout; the process dies before or after its n-th write, and another takes over. Answers the writes. */
  async function rollOut(diesAt: number, when: "before" | "after"): Promise<number> {
    const cluster = memoryCluster();
    const clock = new FakeClock();
    const first = mortal(cluster);
    let writes = 0;
    let last = 0;
    // Collected, since what a write throws is an outcome that the engine handles.
    const violations: string[] = [];
    const die = (): void => {
      if (writes === diesAt) first.kill();
    };
    cluster.beforeWrite = () => {
      writes++;
      if (when === "before" && writes === diesAt) {
        first.kill();
        throw new ClusterError("Unavailable", "the process is gone, and with it its request");
      }
    };
    cluster.afterWrite = (_verb, ref) => {
      if (when === "after") die();
      // Whenever anybody looks, status has claimed what the child serves, and no step is skipped or taken twice.
      const served = stepOf(cluster.stored(configMapRef("w-a")));
      const claimed = statusStep(cluster.stored(widgetRef("w")));
      if (served > claimed) violations.push(`write ${writes}: ${served} is served, ${claimed} is claimed`);
      if (ref.name !== "w-a") return;
      if (served !== last && served !== last + 1)
        violations.push(`write ${writes}: from ${last} to ${served}`);
      last = served;
    };
    await cluster.applyAs("kubectl", widget("w", { steps: STEPS }));
    const options = { kind: steppingKind(), log: new MemoryLog(), clock };
    const killed = new Controller({ ...options, cluster: first.cluster });
    await killed.start();
    await settled();
    const heir = new Controller({ ...options, cluster });
    await heir.start();
    for (let i = 0; i < 10; i++) {
      clock.advance(1000);
      await settled();
    }
    expect(violations).toEqual([]);
    expect(statusStep(cluster.stored(widgetRef("w")))).toBe(STEPS);
    expect(stepOf(cluster.stored(configMapRef("w-a")))).toBe(STEPS);
    expect(
      cluster.list({ apiVersion: "v1", kind: "ConfigMap" }).map((object) => object.metadata.name),
    ).toEqual(["w-a", `w-at-${STEPS}`]);
    await heir.stop();
    return writes;
  }

  test.each(["before", "after"] as const)(
    "%s it is carried out: the next one ends what it began",
    async (when) => {
      const undisturbed = await rollOut(Number.POSITIVE_INFINITY, when);
      expect(undisturbed).toBeGreaterThan(3 * STEPS);
      for (let diesAt = 1; diesAt <= undisturbed; diesAt++) await rollOut(diesAt, when);
    },
  );
});

describe("whatever fails, and whoever interferes", () => {
  const name = fc.constantFrom("a", "b", "c");
  const spec = fc.record({
    children: fc.uniqueArray(name, { maxLength: 3 }),
    value: fc.constantFrom("1", "2"),
  });
  const step = fc.oneof(
    fc.record({ do: fc.constant("put" as const), resource: fc.constantFrom("w1", "w2"), spec }),
    fc.record({ do: fc.constant("remove" as const), resource: fc.constantFrom("w1", "w2") }),
    fc.record({ do: fc.constant("edit" as const), resource: fc.constantFrom("w1", "w2"), child: name }),
    fc.record({ do: fc.constant("delete" as const), resource: fc.constantFrom("w1", "w2"), child: name }),
    fc.record({ do: fc.constantFrom("hold" as const, "release" as const, "settle" as const) }),
  );
  const outcome = fc.constantFrom("ok", "ok", "lost", "Unavailable", "Forbidden", "Conflict");

  test("it ends with exactly the children that are wanted, and then writes nothing more", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(outcome, { maxLength: 30 }),
        async (steps, outcomes) => {
          const cluster = memoryCluster();
          const engine = await startWidgets({ cluster });
          const wanted = new Map<string, Record<string, string>>();
          const left = [...outcomes];
          let answerLost = false;
          cluster.beforeWrite = () => {
            const next = left.shift() ?? "ok";
            answerLost = next === "lost";
            if (next === "Unavailable" || next === "Forbidden" || next === "Conflict")
              throw new ClusterError(next, "drawn");
          };
          cluster.afterWrite = () => {
            if (answerLost) throw new ClusterError("Unavailable", "the answer was lost");
          };
          const childRef = (one: { resource: string; child: string }): ObjectRef =>
            configMapRef(`${one.resource}-${one.child}`);
          for (const one of steps) {
            if (one.do === "put") {
              await cluster.applyAs("kubectl", widget(one.resource, one.spec));
              const data = Object.fromEntries(one.spec.children.map((child) => [child, one.spec.value]));
              wanted.set(one.resource, data);
            } else if (one.do === "remove") {
              cluster.remove(widgetRef(one.resource));
              wanted.delete(one.resource);
            } else if (one.do === "edit" && cluster.stored(childRef(one)) !== undefined) {
              const metadata = { name: `${one.resource}-${one.child}`, namespace: "default" };
              await cluster.applyAs("others", {
                apiVersion: "v1",
                kind: "ConfigMap",
                metadata,
                data: { value: "theirs" },
              });
            } else if (one.do === "delete") {
              cluster.remove(childRef(one));
            } else if (one.do === "hold") {
              cluster.hold();
            } else if (one.do === "release") {
              cluster.release();
            } else {
              await settled();
            }
          }
          cluster.release();
          await engine.advance(120_000);
          left.length = 0;
          await engine.advance(1_200_000);
          const there = cluster
            .list({ apiVersion: "v1", kind: "ConfigMap" })
            .map((object) => `${object.metadata.name}=${(object.data as { value: string }).value}`);
          const expected = [...wanted].flatMap(([resource, data]) =>
            Object.entries(data).map(([child, value]) => `${resource}-${child}=${value}`),
          );
          expect(there).toEqual(expected.sort());
          cluster.requests.length = 0;
          await engine.advance(36_000_000);
          expect(writesOf(cluster)).toEqual([]);
          await engine.controller.stop();
        },
      ),
      { numRuns: 60 },
    );
  });
});
