import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_SEQUENCE, routerConfig } from "../../../lib/config/router.ts";
import type { Situation } from "../../../operator/model-serving/plan.ts";
import type { SentConfig } from "../../../operator/model-serving/router-config.ts";
import {
  type Issued,
  isIssued,
  issuedOf,
  numbered,
} from "../../../operator/model-serving/router-sequence.ts";
import { canary, deployed, settled, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

function content(generation: string, http = "http://s:80"): SentConfig {
  const stable = { revision: "r", weightPercent: 100, backend: { http } };
  return { generation, model: "m", stable };
}

/** What was decided next, after what status and the ConfigMap say. */
function next(config: SentConfig, last?: Issued, mounted?: SentConfig): number {
  const before = last === undefined ? {} : { routerConfig: last };
  const situation = { before, observed: { routerConfig: mounted } } as Situation;
  return numbered(situation, config).sequence ?? 0;
}

/** What routers of the first release know, and are told of a canary. A name that is added here breaks those that run. */
const EVERY_RELEASE = [
  "canary.backend.grpc",
  "canary.backend.http",
  "canary.revision",
  "canary.weightPercent",
  "generation",
  "http.connectionMaxAgeGraceSeconds",
  "http.connectionMaxAgeSeconds",
  "http.drainSeconds",
  "http.keepAliveSeconds",
  "maxRequestBytes",
  "model",
  "requestTimeoutMilliseconds",
  "sequence",
  "stable.backend.grpc",
  "stable.backend.http",
  "stable.revision",
  "stable.weightPercent",
];

/** Paths of all fields, sorted. */
function namesIn(value: object): string[] {
  return Object.entries(value)
    .flatMap(([name, field]) =>
      typeof field === "object" && field !== null
        ? namesIn(field).map((inner) => `${name}.${inner}`)
        : [name],
    )
    .sort();
}

describe("the number of a configuration", () => {
  test("is a new and higher one for each change, and stays without one, whatever came before", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 30 }), (history) => {
        let last: { issued: Issued; which: number } | undefined;
        for (const which of history) {
          const config = content(`g${which}`);
          const sequence = next(config, last?.issued);
          const before = last?.issued.sequence ?? 0;
          expect(sequence).toBe(which === last?.which ? before : before + 1);
          last = { issued: issuedOf({ ...config, sequence }), which };
        }
      }),
    );
  });

  test("goes on from the ConfigMap's where status was lost", () => {
    expect(next(content("g"), undefined, { ...content("g"), sequence: 41 })).toBe(42);
    expect(next(content("g"), { sequence: 3, digest: "" }, { ...content("g"), sequence: 41 })).toBe(4);
  });

  test("has an end that is no error", () => {
    expect(next(content("g"), { sequence: MAX_SEQUENCE, digest: "" })).toBe(MAX_SEQUENCE);
  });
});

describe("a configuration in a ConfigMap", () => {
  const decided = { ...content("g1"), sequence: 7 };
  const status = { routerConfig: issuedOf(decided) };

  test("is the operator's if it is what was decided, and not one byte else", () => {
    expect(isIssued(decided, status)).toBe(true);
    expect(isIssued({ ...decided, sequence: 8 }, status)).toBe(false);
    expect(isIssued({ ...content("g1", "http://stranger:80"), sequence: 7 }, status)).toBe(false);
    expect(isIssued(decided, {})).toBe(false);
    expect(isIssued(decided, undefined)).toBe(false);
  });
});

describe("what routers are told", () => {
  const atStep = async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2));
    await world.until("the first step", () => world.status.canary?.weightPercent === 10);
    return world;
  };
  const mounted = (world: World) => world.objects.get("ConfigMap", "digits-router")?.data ?? {};

  test("is never older than what they were told, over a rollout and back", async () => {
    const world = await deployed({ canary });
    const first = world.status.routerConfig?.sequence ?? 0;
    world.set(withCanary(2));
    await world.tick();
    // A router of the world refuses an older one as a real one does: then this would never settle.
    await world.until("promoted", settled(world));
    expect(first).toBeGreaterThan(0);
    expect(world.status.routerConfig?.sequence).toBeGreaterThan(first);
    expect(world.condition("RoutersConfigured")).toMatchObject({ status: "True", reason: "Applied" });
  });

  test("says whose signature counts, in the ConfigMap and not in their pods, so that another key restarts none", async () => {
    const world = await atStep();
    const owner = { namespace: "default", name: "digits", uid: "u1" };
    expect(JSON.parse(mounted(world)["trust.json"] ?? "")).toEqual({ owner, publicKeys: world.routerKeys });
    const pods = world.podsOf("digits-router").map(({ name }) => name);
    world.routerKeys = ["B".repeat(43), ...world.routerKeys];
    await world.tick(5);
    expect(JSON.parse(mounted(world)["trust.json"] ?? "")).toEqual({ owner, publicKeys: world.routerKeys });
    expect(world.podsOf("digits-router").map(({ name }) => name)).toEqual(pods);
  });

  test("has its number even where a router is back at the content that it had, having missed one", async () => {
    const world = await atStep();
    const routers = [...world.traffic.routers.values()];
    const sequence = world.status.routerConfig?.sequence ?? 0;
    for (const router of routers) {
      if (router.config !== undefined) router.config = { ...router.config, sequence: sequence - 1 };
    }
    await world.reconcile();
    expect(routers.map(({ config }) => config?.sequence)).toEqual([sequence, sequence]);
  });

  test("is what was decided, never what somebody wrote into their ConfigMap", async () => {
    const world = await atStep();
    const map = world.objects.get("ConfigMap", "digits-router");
    const config = routerConfig.parse(JSON.parse(mounted(world)["router.json"] ?? ""));
    const stolen = { ...config, generation: "stolen", sequence: config.sequence + 1 };
    if (map === undefined) throw new Error("the routers have a ConfigMap");
    world.objects.apply({ ...map, data: { ...map.data, "router.json": JSON.stringify(stolen) } } as never);
    await world.reconcile();
    const applied = [...world.traffic.routers.values()].map((router) => router.config?.generation);
    expect(applied).toEqual([config.generation, config.generation]);
    expect(mounted(world)["router.json"]).toContain(config.generation);
  });

  test("says nothing but what spec asks for: routers of an earlier release refuse a field that they do not know", async () => {
    const world = await atStep();
    const sent = JSON.parse(mounted(world)["router.json"] ?? "") as object;
    expect(namesIn(sent)).toEqual(EVERY_RELEASE);
    expect(routerConfig.parse(sent)).not.toEqual(sent);
  });

  test("and refused is shown as the router says it, and takes no canary back by itself", async () => {
    const world = await atStep();
    const [router] = world.traffic.routers.values();
    if (router === undefined) throw new Error("there are routers");
    router.refusal = { code: "PushKeyUntrusted", message: "signed by no key that is trusted here" };
    await world.until("the next step is asked for", () => world.status.canary?.wantedWeightPercent === 50);
    await world.tick(2);
    expect(world.condition("RoutersConfigured")).toMatchObject({
      status: "False",
      reason: "PushKeyUntrusted",
      message: expect.stringMatching(/^router digits-router-\d+: signed by no key/),
    });
    expect(world.status.canary).toMatchObject({ phase: "Stepping", weightPercent: 10 });
    expect(world.condition("Degraded")?.status).toBe("False");
    delete router.refusal;
    await world.until("promoted", settled(world));
    expect(world.condition("RoutersConfigured")?.status).toBe("True");
  });
});
