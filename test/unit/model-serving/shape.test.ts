import { expect, test } from "vitest";
import { KEEP_ALIVE_MARGIN_SECONDS } from "../../../crds/ingress-profiles.ts";
import { modelServing } from "../../../crds/model-serving.ts";
import { likeShape, type Shape, shapeOf } from "../../../operator/model-serving/shape.ts";
import { deployed, digest, model, spec } from "./fixtures.ts";

const shape = (fields: Record<string, unknown>) =>
  shapeOf(modelServing.shape.spec.parse(spec({ model: model(1), ...fields }))) as Record<
    string,
    Record<string, unknown>
  >;

const sameShape = (kept: Shape, asked: Shape) => likeShape(asked)(kept);

const batching = { maxSize: 8 };

test.each<[string, Record<string, unknown>]>([
  ["replicas", { replicas: 7 }],
  ["canary steps", { canary: { steps: [{ weightPercent: 10, holdSeconds: 1 }] } }],
  ["what a profile is by default, written out", { ingress: { profile: "ALB" } }],
  [
    "a time-out that is the profile's own",
    { ingress: { profile: "ALB", keepAliveSeconds: 60 + KEEP_ALIVE_MARGIN_SECONDS } },
  ],
  ["variants for robots", { model: { ...model(1), variants: [variant()] } }],
])("%s shapes no pod", (_, fields) => {
  expect(sameShape(shape({}), shape(fields))).toBe(true);
});

test.each<[string, Record<string, unknown>]>([
  ["another model", { model: model(2) }],
  ["another profile", { ingress: { profile: "GCP" } }],
  ["a longer drain", { termination: { drainSeconds: 77 } }],
  ["another topology", { availability: { topologySpread: "Required" } }],
  ["batching", { server: { batching } }],
  ["memory", { pod: { resources: { limits: { memory: "1Gi" } } } }],
])("%s shapes pods", (_, fields) => {
  expect(sameShape(shape({}), shape(fields))).toBe(false);
});

test("a default that the schema did not have yet when a revision was kept makes no other revision of it", () => {
  const asked = shape({ server: { batching } });
  const { maxQueuedRequests, ...server } = asked.server ?? {};
  expect(maxQueuedRequests).toBeDefined();
  expect(sameShape({ ...asked, server }, asked)).toBe(true);
  expect(sameShape({ ...asked, server }, shape({ server: { batching, maxQueuedRequests: 3 } }))).toBe(false);
});

test("a field that this operator's schema does not know, after a step back, makes no other revision of it", () => {
  const asked = shape({ server: { batching } });
  const kept = {
    ...asked,
    server: { ...asked.server, speculation: { tokens: 4 } },
    ingress: { profile: "ALB", protocol: "H3" },
    sidecars: [],
  };
  expect(sameShape(kept, asked)).toBe(true);
  expect(sameShape(kept, shape({}))).toBe(false);
});

test("a shape of which the schema can make nothing is like no other", () => {
  const asked = shape({});
  const odd = { ...asked, pod: "large" };
  expect(sameShape(odd, asked)).toBe(false);
  expect(sameShape(odd, { ...odd })).toBe(true);
});

test("an operator whose schema has a new default restarts nothing", async () => {
  const world = await deployed({ server: { batching } });
  const { revision } = world.status;
  const before = world.podsOf("digits").map(({ name }) => name);
  const kept = world.objects.get("ControllerRevision", `digits-${revision}`);
  const server = kept?.data.shape.server as Record<string, unknown> | undefined;
  // As if it had been kept before the field was there.
  expect(delete server?.maxQueuedRequests).toBe(true);
  world.settings = { ...world.settings, runtimeImage: "naru/runtime:2" };
  await world.tick(5);
  expect(world.status.revision).toBe(revision);
  expect(world.podsOf("digits").map(({ name }) => name)).toEqual(before);
});

function variant() {
  const requires = { architecture: "arm64" };
  return {
    name: "orin",
    format: "TensorRTPlan",
    uri: "s3://models/1/orin.engine",
    sha256: digest(9),
    requires,
  };
}
