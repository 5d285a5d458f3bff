import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { status } from "../../../crds/model-serving/status.ts";
import { modelServingSpec } from "../../../crds/model-serving.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { inferenceConfig } from "../../../lib/config/inference.ts";
import { routerConfig } from "../../../lib/config/router.ts";
import { routerTrust } from "../../../lib/config/router-push.ts";
import { checkChildren } from "../../../operator/engine/children.ts";
import { modelServingKind } from "../../../operator/model-serving/kind.ts";
import { zodArbitrary } from "../../support/zod-arbitrary.ts";
import { digest, model, spec } from "./fixtures.ts";
import { World } from "./world.ts";

const signer = { publicKeys: ["A".repeat(43)], sign: () => "" };
const kind = modelServingKind({ runtimeImage: "naru/runtime:1", namespace: "naru-system" }, signer);
const specs = zodArbitrary(modelServingSpec, true) as fc.Arbitrary<Record<string, unknown>>;

describe("any spec that the schema accepts", () => {
  test("is decided without throwing, and deciding on the outcome changes nothing", async () => {
    let decided = 0;
    await fc.assert(
      fc.asyncProperty(specs, fc.constantFrom(0, 1, 4), async (any, ticks) => {
        const world = new World(JSON.parse(JSON.stringify(any)), "a".repeat(40));
        world.load = 3;
        await world.tick(ticks);
        const decision = await world.reconcile();
        // A graph that was made up may be refused; nothing else of a spec that the schema accepts is.
        if (decision.prune === false) expect(world.condition("Ready")?.reason).toBe("InvalidGraph");
        else decided += 1;
        checkChildren(world.resource, decision.children, kind.owns);
        expect(status.safeParse(decision.status).error).toBeUndefined();
        const again = await world.decideAgain();
        expect(again.children).toEqual(decision.children);
        expect(again.status).toEqual(decision.status);
        for (const child of decision.children) {
          expect(child.metadata.name.length).toBeLessThanOrEqual(63);
          if (child.kind !== "ConfigMap") continue;
          const data = child.data as Record<string, string>;
          for (const [file, text] of Object.entries(data)) {
            const schema =
              file === "router.json"
                ? routerConfig
                : file === "trust.json"
                  ? routerTrust
                  : file === "inference.json"
                    ? inferenceConfig
                    : fetchConfig;
            expect(schema.safeParse(JSON.parse(text)).error).toBeUndefined();
          }
        }
      }),
      // Nothing to wait for is no reason to call a rollout complete before its Deployment was seen to follow.
      { numRuns: 60, examples: [[{ ...spec({ model: model(1) }), replicas: 0 }, 0]] },
    );
    expect(decided).toBeGreaterThan(10);
  }, 100_000);
});

describe("a resource that can't be read", () => {
  test("keeps what it has, and says what is wrong", async () => {
    const world = new World(spec({ model: model(1) }));
    await world.tick(5);
    const before = world.objects.size;
    world.set({ ...spec({ model: model(1) }), replicas: "two" });
    const decision = await world.reconcile();
    expect(decision).toMatchObject({ children: [], prune: false });
    expect(world.objects.size).toBe(before);
    expect(world.condition("Degraded")).toMatchObject({ reason: "InvalidSpec" });
    expect(world.status.revision).toBeDefined();
  });
});

describe("the pods", () => {
  /** The serving pod's spec and its one server. */
  async function pod(fields: Record<string, unknown>) {
    const world = new World(spec(fields));
    await world.reconcile();
    const made = world.objects.get("Deployment", "digits")?.spec?.template.spec;
    const [server] = made?.containers ?? [];
    if (made === undefined || server === undefined) throw new Error("no serving pod");
    return { world, made, server };
  }

  test("credentials are the download's alone, and no pod has an API token", async () => {
    const { made } = await pod({
      model: { ...model(1), credentials: { secretRef: { name: "s3-secret" } } },
    });
    expect(JSON.stringify(made.containers)).not.toContain("s3-secret");
    expect(JSON.stringify(made.initContainers)).toContain("s3-secret");
    expect(made.automountServiceAccountToken).toBe(false);
  });

  test("a web identity token is mounted by the download alone", async () => {
    const { made } = await pod({
      model: { ...model(1), credentials: { webIdentity: { roleArn: "arn:aws:iam::1:role/r" } } },
    });
    const token = made.volumes?.find(({ projected }) => projected !== undefined)?.name;
    expect(token).toBeDefined();
    expect(JSON.stringify(made.containers)).not.toContain(token);
    expect(JSON.stringify(made.initContainers)).toContain(token);
  });

  test("the server can't write its model, its settings or its own programs", async () => {
    const { server } = await pod({ model: model(1) });
    const writable = server.volumeMounts?.filter(({ readOnly }) => readOnly !== true);
    expect(writable?.map(({ mountPath }) => mountPath)).toEqual(["/tmp"]);
    expect(server.volumeMounts?.map(({ mountPath }) => mountPath)).toContain("/models");
    expect(server.securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
  });

  test("preStop, drain and grace follow the ingress profile, and none is a sleep of zero", async () => {
    const alb = await pod({ model: model(1) });
    expect(alb.server.lifecycle?.preStop).toEqual({ sleep: { seconds: 30 } });
    expect(alb.made.terminationGracePeriodSeconds).toBe(65);
    const none = await pod({ model: model(1), termination: { preStopSeconds: 0 } });
    expect(none.server).not.toHaveProperty("lifecycle");
  });

  test("a revision's files are immutable, named by it, and say it", async () => {
    const { world, made } = await pod({ model: model(1) });
    const name = made.volumes?.find((volume) => volume.name === "config")?.configMap?.name ?? "";
    const map = world.objects.get("ConfigMap", name);
    expect(map?.immutable).toBe(true);
    const inference = inferenceConfig.parse(JSON.parse(map?.data?.["inference.json"] ?? ""));
    expect(name).toBe(`digits-${inference.revision}`);
    expect(inference.models[0]?.path).toBe(`${digest(1).slice(0, 16)}/model.onnx`);
  });

  test("a user's own server has its probes and the same end, and no download", async () => {
    const { made, server } = await pod({
      container: {
        image: "triton:1",
        httpPort: 8000,
        grpcPort: 8001,
        readiness: { httpPath: "/v2/health/ready" },
      },
    });
    expect(made.initContainers).toBeUndefined();
    expect(server).toMatchObject({
      readinessProbe: { httpGet: { path: "/v2/health/ready", port: "http" } },
      lifecycle: { preStop: { sleep: { seconds: 30 } } },
      securityContext: { allowPrivilegeEscalation: false },
    });
  });
});
