import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planRollout, type RolloutPod, type RolloutSpec } from "../../../operator/standalone/rollout.ts";

const spec = (fields: Partial<RolloutSpec> = {}): RolloutSpec => ({
  replicas: 2,
  strategy: "RollingUpdate",
  maxSurge: 1,
  maxUnavailable: 0,
  ...fields,
});
let born = 0;
const pod = (name: string, fields: Partial<RolloutPod> = {}): RolloutPod => ({
  name,
  current: true,
  ready: true,
  available: true,
  created: born++,
  ...fields,
});
const old = (name: string, fields: Partial<RolloutPod> = {}) => pod(name, { current: false, ...fields });
const unready = { ready: false, available: false };

describe("planRollout", () => {
  test("fills up at once where there is nothing old", () => {
    expect(planRollout(spec({ replicas: 5 }), [], 0)).toEqual({ create: 5, remove: [] });
  });

  test("surges first, and takes an old pod only when a new one is available", () => {
    expect(planRollout(spec(), [old("a"), old("b")], 0)).toEqual({ create: 1, remove: [] });
    expect(planRollout(spec(), [old("a"), old("b"), pod("c", unready)], 0)).toEqual({
      create: 0,
      remove: [],
    });
    expect(planRollout(spec(), [old("a"), old("b"), pod("c", { available: false })], 0).remove).toEqual([]);
    expect(planRollout(spec(), [old("a"), old("b"), pod("c")], 0)).toEqual({ create: 0, remove: ["b"] });
  });

  test("takes what is unavailable already before what serves", () => {
    const pods = [old("serves"), old("broken", unready), pod("new")];
    expect(planRollout(spec(), pods, 0).remove).toEqual(["broken"]);
  });

  test("without surge it first makes room, as far as maxUnavailable allows", () => {
    const scarce = spec({ maxSurge: 0, maxUnavailable: 1 });
    expect(planRollout(scarce, [old("a"), old("b")], 0)).toEqual({ create: 0, remove: ["b"] });
    expect(planRollout(scarce, [old("a")], 0)).toEqual({ create: 1, remove: [] });
  });

  test("reads percentages: surge is rounded up, unavailable down, and both zero still moves", () => {
    const quarter = spec({ replicas: 3, maxSurge: "25%", maxUnavailable: "25%" });
    expect(planRollout(quarter, [old("a"), old("b"), old("c")], 0)).toEqual({ create: 1, remove: [] });
    const stuck = spec({ maxSurge: 0, maxUnavailable: 0 });
    expect(planRollout(stuck, [old("a"), old("b")], 0).remove.length).toBe(1);
  });

  test("scales down the unready and the young first", () => {
    const pods = [pod("old"), pod("young"), pod("unready", unready)];
    expect(planRollout(spec({ replicas: 1 }), pods, 0).remove).toEqual(["unready", "young"]);
  });

  test("Recreate waits until the last old pod has ended", () => {
    const recreate = spec({ strategy: "Recreate" });
    expect(planRollout(recreate, [old("a"), old("b")], 0)).toEqual({ create: 0, remove: ["a", "b"] });
    expect(planRollout(recreate, [], 1)).toEqual({ create: 0, remove: [] });
    expect(planRollout(recreate, [], 0)).toEqual({ create: 2, remove: [] });
  });

  test("whatever the pods are like, it stays within its bounds, and it ends", () => {
    const amounts = fc.oneof(
      fc.nat(3),
      fc.nat(100).map((percent) => `${percent}%`),
    );
    fc.assert(
      fc.property(
        fc.record({ replicas: fc.nat(6), maxSurge: amounts, maxUnavailable: amounts }),
        fc.nat(8),
        fc.array(fc.boolean(), { maxLength: 40 }),
        (bounds, before, fates) => {
          const wanted = spec(bounds);
          const resolve = (value: number | string, round: (n: number) => number) =>
            typeof value === "number" ? value : round((Number.parseInt(value, 10) * wanted.replicas) / 100);
          const surge = resolve(wanted.maxSurge, Math.ceil);
          const unavailable = Math.max(resolve(wanted.maxUnavailable, Math.floor), surge === 0 ? 1 : 0);
          let pods = Array.from({ length: before }, (_, index) => old(`old-${index}`));
          for (let round = 0; round < 60; round += 1) {
            const plan = planRollout(wanted, pods, 0);
            const available = () => pods.filter((one) => one.available).length;
            const serving = available();
            pods = pods.filter(({ name }) => !plan.remove.includes(name));
            if (plan.remove.length > 0) {
              expect(available()).toBeGreaterThanOrEqual(Math.min(serving, wanted.replicas - unavailable));
            }
            for (let index = 0; index < plan.create; index += 1)
              pods.push(pod(`new-${round}-${index}`, unready));
            if (plan.create > 0)
              expect(pods.length).toBeLessThanOrEqual(
                Math.max(wanted.replicas + surge, pods.length - plan.create),
              );
            // Some come up, some fall over, and in the end all are well.
            pods = pods.map((one, index) => {
              const well = fates[(round * 7 + index) % Math.max(1, fates.length)] ?? true;
              return round > 20 || well ? { ...one, ready: true, available: true } : { ...one, ...unready };
            });
          }
          expect(pods.every((one) => one.current)).toBe(true);
          expect(pods.length).toBe(wanted.replicas);
        },
      ),
      { numRuns: 300 },
    );
  });
});
