import { modelServing } from "../../../crds/model-serving.ts";
import { World } from "./world.ts";

export const digest = (version: number) => version.toString(16).padStart(64, "0");
export const model = (version: number) => ({
  uri: `s3://models/${version}/model.onnx`,
  sha256: digest(version),
});
export const steps = [
  { weightPercent: 10, holdSeconds: 2 },
  { weightPercent: 50, holdSeconds: 2 },
];
export const analysis = { minRequests: 20, maxErrorPerMille: 5, maxP99Milliseconds: 100 };
export const canary = { steps, analysis, progressDeadlineSeconds: 30 };

/** As the API server stores it: defaults filled in. */
export function spec(fields: Record<string, unknown>): Record<string, unknown> {
  const { spec } = modelServing.parse({
    apiVersion: "naru.dev/v1alpha1",
    kind: "ModelServing",
    metadata: { name: "digits" },
    spec: { replicas: 2, ...fields },
  });
  return spec as unknown as Record<string, unknown>;
}

export const settled = (world: World) => () =>
  world.condition("RolloutComplete")?.status === "True" && world.condition("Progressing")?.status === "False";

export async function deployed(fields: Record<string, unknown> = {}): Promise<World> {
  const world = new World(spec({ model: model(1), ...fields }));
  await world.until("first deploy", settled(world));
  world.traffic.lost = 0;
  return world;
}

export const withCanary = (version: number, extra: Record<string, unknown> = {}) =>
  spec({ model: model(version), canary: { ...canary, ...extra } });
