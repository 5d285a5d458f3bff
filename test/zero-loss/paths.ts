import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rolledBack, rolledOut, type World } from "./world.ts";

/** What the proxies of these tests keep an idle connection for; the resources say the same. */
export const IDLE_SECONDS = 2;

/** A way in which pods come and go while requests arrive. */
export interface ZeroLossPath {
  readonly name: string;
  /** The resource before it begins. */
  readonly spec: object;
  /** Once through; repeated for as long as the load lasts. */
  disturb(world: World, spec: object): Promise<void>;
}

/** A spec that serves a committed model, with every guard at what these proxies ask for. */
export type SpecOf = (model: string, more?: object) => object;

export function specOf(model: string, more: object = {}): object {
  const uri = `file://./models/${model}.onnx`;
  const file = readFileSync(join(import.meta.dirname, `../../examples/digits/models/${model}.onnx`));
  return {
    model: { uri, sha256: createHash("sha256").update(file).digest("hex") },
    replicas: 2,
    ingress: { profile: "NGINX", idleTimeoutSeconds: IDLE_SECONDS },
    termination: { preStopSeconds: 3, drainSeconds: 4 },
    ...more,
  };
}

const CANARY = {
  traffic: { routerReplicas: 2 },
  canary: {
    steps: [
      { weightPercent: 0, holdSeconds: 1 },
      { weightPercent: 50, holdSeconds: 1 },
    ],
    // Two proxies, the load and all pods share two cores: time says nothing here, answers do.
    analysis: { minRequests: 40, divergence: { mirrorPercent: 50, maxPerMille: 300 } },
    progressDeadlineSeconds: 60,
  },
};

const scaling = { minReplicas: 2, maxReplicas: 4 };

/** The paths over specs with this way of naming a model's version: a file here, an address on a cluster. */
export const pathsOf = (specOf: SpecOf): readonly ZeroLossPath[] => [
  {
    name: "rollout",
    spec: specOf("v1"),
    async disturb(world) {
      await world.apply(specOf("v2"));
      await world.apply(specOf("v1"));
    },
  },
  {
    name: "scale-down",
    spec: specOf("v1", { replicas: 3 }),
    async disturb(world) {
      await world.apply(
        specOf("v1", { replicas: 1 }),
        (status) => rolledOut(status) && status.replicas === 1,
      );
      await world.apply(
        specOf("v1", { replicas: 3 }),
        (status) => rolledOut(status) && status.readyReplicas === 3,
      );
    },
  },
  {
    name: "pod kill within grace",
    spec: specOf("v1"),
    async disturb(world) {
      const before = await world.endpoints();
      await world.deletePod();
      for (;;) {
        const now = await world.endpoints();
        if (now.length === before.length && now.some((address) => !before.includes(address))) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  },
  {
    name: "canary and rollback",
    spec: specOf("v1", CANARY),
    async disturb(world) {
      await world.apply(specOf("v2", CANARY));
      await world.apply(specOf("broken-wrong", CANARY), rolledBack);
      await world.apply(specOf("v1", CANARY));
    },
  },
  {
    name: "autoscaling on and off",
    spec: specOf("v1"),
    async disturb(world) {
      const { replicas: _fixed, ...rest } = specOf("v1") as { replicas: number };
      await world.apply({ ...rest, autoscaling: scaling });
      await world.apply(specOf("v2", { replicas: 3 }));
      await world.apply(specOf("v1"));
    },
  },
];

export const PATHS = pathsOf(specOf);
