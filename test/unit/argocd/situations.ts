import {
  analysis,
  canary,
  deployed,
  digest,
  model,
  settled,
  spec,
  withCanary,
} from "../model-serving/fixtures.ts";
import { World } from "../model-serving/world.ts";

/** A ModelServing as Argo CD finds it, and what its health is to be. */
export interface Situation {
  /** Of its file in testdata. */
  readonly name: string;
  readonly status: "Progressing" | "Healthy" | "Degraded" | "Suspended";
  /** How it comes about, with the operator's own decisions. */
  make(): Promise<World>;
}

async function inCanary(): Promise<World> {
  const world = await deployed({ canary });
  world.set(withCanary(2));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  return world;
}

export const situations: readonly Situation[] = [
  {
    name: "progressing-just-applied",
    status: "Progressing",
    make: async () => new World(spec({ model: model(1) })),
  },
  {
    name: "progressing-pods-starting",
    status: "Progressing",
    async make() {
      const world = new World(spec({ model: model(1) }));
      await world.tick(2);
      return world;
    },
  },
  {
    name: "progressing-model-not-fetched",
    status: "Progressing",
    async make() {
      const world = new World(spec({ model: model(1) }));
      const problem = { container: "fetch", code: "DigestMismatch", message: "the file has other bytes" };
      world.pods.behaviours.set(digest(1), { problem });
      await world.tick(4);
      return world;
    },
  },
  { name: "healthy-serving", status: "Healthy", make: () => deployed() },
  {
    name: "progressing-change-not-seen",
    status: "Progressing",
    async make() {
      const world = await deployed();
      world.set(spec({ model: model(2) }));
      return world;
    },
  },
  {
    name: "progressing-rolling-update",
    status: "Progressing",
    async make() {
      const world = await deployed();
      world.set(spec({ model: model(2) }));
      await world.tick(2);
      return world;
    },
  },
  { name: "progressing-canary", status: "Progressing", make: inCanary },
  {
    name: "suspended-paused",
    status: "Suspended",
    async make() {
      const world = await inCanary();
      world.annotate({ "naru.dev/action": `pause ${world.status.canary?.revision} 1` });
      await world.tick(2);
      return world;
    },
  },
  {
    name: "progressing-changed-while-paused",
    status: "Progressing",
    async make() {
      const world = await inCanary();
      world.annotate({ "naru.dev/action": `pause ${world.status.canary?.revision} 1` });
      await world.tick(2);
      world.set(withCanary(3));
      return world;
    },
  },
  {
    name: "healthy-promoted",
    status: "Healthy",
    async make() {
      const world = await inCanary();
      await world.until("promoted", settled(world));
      return world;
    },
  },
  {
    name: "degraded-rolled-back",
    status: "Degraded",
    async make() {
      const world = await deployed({ canary });
      world.pods.behaviours.set(digest(2), { errorPerMille: 300 });
      world.set(withCanary(2, { analysis }));
      await world.until("rolled back", () => world.status.lastRollout?.result === "RolledBack");
      await world.until("removed", () => world.status.canary === undefined);
      await world.tick(2);
      return world;
    },
  },
  {
    name: "degraded-stuck",
    status: "Degraded",
    async make() {
      const world = await deployed();
      world.pods.behaviours.set(digest(2), { stuck: true });
      world.set(spec({ model: model(2) }));
      await world.tick(5);
      const deployment = world.objects.get("Deployment", "digits");
      if (deployment?.status === undefined) throw new Error("no Deployment");
      deployment.status.conditions = [
        { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" },
      ];
      await world.reconcile();
      return world;
    },
  },
  {
    name: "degraded-refused",
    status: "Degraded",
    async make() {
      const node = (name: string) => ({ name, model: model(1) });
      const edges = [
        { from: "a", to: "b" },
        { from: "b", to: "a" },
      ];
      const world = new World(spec({ graph: { entry: "a", nodes: [node("a"), node("b")], edges } }));
      await world.tick(2);
      return world;
    },
  },
  {
    name: "healthy-no-replicas",
    status: "Healthy",
    async make() {
      const world = new World(spec({ model: model(1), replicas: 0 }));
      await world.tick(3);
      return world;
    },
  },
  {
    name: "healthy-scaled-to-zero",
    status: "Healthy",
    async make() {
      const autoscaling = { minReplicas: 0, maxReplicas: 4, scaleToZeroAfterSeconds: 10 };
      const world = await deployed({ replicas: undefined, autoscaling, traffic: { router: "Always" } });
      world.load = 0;
      await world.until("asleep", () => world.condition("Ready")?.reason === "ScaledToZero", 30);
      await world.tick(5);
      return world;
    },
  },
];
