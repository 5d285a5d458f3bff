import { expect } from "vitest";
import type { ZeroLossPath } from "../../zero-loss/paths.ts";
import { type RunOptions, runPath } from "../../zero-loss/run.ts";
import type { Namespace } from "./kube.ts";
import type { Serving } from "./serving.ts";
import { conditionOf, type Moment, shown } from "./timeline.ts";
import { kubeWorld } from "./world.ts";

const LOAD: RunOptions = { requests: 2000, mostDisturbances: 1, clients: 4, thinkMilliseconds: 10 };

/**
 * Goes through a path once while requests arrive through nginx, HAProxy and the Service, and takes away what it
 * served. Fails when one is lost, or when status said what was not so.
 */
export async function losesNothing(
  namespace: Namespace,
  pathOf: (serving: Serving) => ZeroLossPath,
): Promise<void> {
  const { world, serving } = kubeWorld(namespace);
  const path = pathOf(serving);
  const outcomes = await runPath(path, LOAD, () => Promise.resolve(world));
  for (const { proxy, report } of outcomes)
    console.log(`${path.name} / ${proxy}: sent=${report.sent} lost=${report.lost.length}`);
  const lost = outcomes.flatMap(({ proxy, report }) => report.lost.map((loss) => ({ proxy, ...loss })));
  expect(lost, shown(serving.moments)).toEqual([]);
  expect(serving.lies).toEqual([]);
  expect(unexpected(serving.moments), shown(serving.moments)).toEqual([]);
}

/** What must not be said while all goes well: what once served goes on, and only a rollback needs a person. */
function unexpected(moments: readonly Moment[]): readonly string[] {
  const served = moments.findIndex(({ status }) => conditionOf(status, "Ready") === "True");
  return moments.slice(served).flatMap(({ at, status }) => {
    const said = `at ${Math.round(at)} ms: ${JSON.stringify(status.conditions)}`;
    if (conditionOf(status, "Ready") !== "True") return [`not Ready ${said}`];
    const needed = conditionOf(status, "Degraded") === "True" && status.lastRollout?.result !== "RolledBack";
    return needed ? [`Degraded ${said}`] : [];
  });
}
