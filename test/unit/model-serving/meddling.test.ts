import { expect, test } from "vitest";
import { canary, deployed, digest, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

const verbs = ["promote", "abort", "pause", "resume", "retry"];
const versions = [1, 2, 3];

/** Numbers from a seed (mulberry32): a walk that fails can be walked again. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One thing that somebody does, in words. */
async function meddle(world: World, pick: (below: number) => number, nonce: number): Promise<string> {
  const { canary: now, lastRollout } = world.status;
  switch (pick(5)) {
    case 0: {
      const version = versions[pick(versions.length)] ?? 1;
      world.set(withCanary(version));
      return `spec asks for version ${version}`;
    }
    case 1:
    case 2: {
      const action = `${verbs[pick(verbs.length)]} ${now?.revision ?? lastRollout?.revision} ${nonce}`;
      world.annotate({ "naru.dev/action": action });
      return action;
    }
    case 3: {
      const canary = world.podsOf("digits-canary");
      const judged = now?.phase === "Stepping" || now?.phase === "Paused";
      if (canary.length !== 1 || !judged) return "nothing goes";
      world.pods.evict("digits-canary");
      // Routers try for a second where nobody takes a connection; it is seen, and they are told, sooner than that.
      await world.reconcile();
      await world.reconcile();
      return "the canary's only pod goes";
    }
    default: {
      const [router] = world.podsOf("digits-router");
      // One leaves at a time, as a disruption budget sees to.
      const whole = world.podsOf("digits-router").filter(({ ready }) => ready).length === 2;
      if (router !== undefined && whole) router.leaving = true;
      return "a router goes";
    }
  }
}

/** What status says of the canary, held against what the routers do. */
function checkTruth(world: World): void {
  const { canary: now } = world.status;
  expect(world.condition("Ready")?.status).toBe("True");
  expect(world.condition("RolloutComplete")?.status === "True" && now !== undefined).toBe(false);
  if (now?.phase !== "Stepping" || now.stepStartedAt === undefined) return;
  if (now.wantedWeightPercent !== now.weightPercent) return;
  const generations = new Set([...world.traffic.routers.values()].map(({ config }) => config?.generation));
  expect(generations).toEqual(new Set([now.generation]));
}

test.each(Array.from({ length: 30 }, (_, seed) => [seed]))(
  "whatever people do to a rollout (walk %d), no request is lost, status stays true, and it comes to an end",
  async (seed) => {
    const pick = numbersFrom(seed);
    const world = await deployed({ canary });
    const story: string[] = [];
    try {
      for (let turn = 0; turn < 40; turn++) {
        story.push(await meddle(world, pick, turn));
        for (let seconds = pick(4); seconds >= 0; seconds--) {
          await world.tick();
          checkTruth(world);
        }
      }
      world.set(withCanary(3));
      await world.tick();
      if (world.status.canary?.phase === "Paused") {
        world.annotate({ "naru.dev/action": `resume ${world.status.canary.revision} end` });
      }
      await world.until(
        "an end",
        () => world.status.canary === undefined && world.condition("Progressing")?.status === "False",
      );
      expect(world.lost).toBe(0);
      const refused = (world.status.failedRevisions ?? []).length > 0;
      if (!refused) expect(world.status.modelDigest).toBe(digest(3));
    } catch (thrown) {
      throw new Error(`walk ${seed}: ${story.join("; ")}`, { cause: thrown });
    }
  },
);
