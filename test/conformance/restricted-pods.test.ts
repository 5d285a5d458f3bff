import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ModelServingSpec, modelServing, modelServingSpec } from "../../crds/model-serving.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { decide } from "../../operator/model-serving/decide.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";
import { nothingObserved } from "../support/nothing-observed.ts";
import { zodArbitrary } from "../support/zod-arbitrary.ts";

const NAMESPACE = "restricted";
/** Why a pod of a user's own image may be refused: which user it runs as is left to the image, and nothing else. */
const USER_OF_IMAGE = /violates PodSecurity "restricted:latest": runAsNonRoot != true \([^)]*\)$/;

interface PodTemplate {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: { containers: { image: string }[]; volumes?: Record<string, unknown>[] } & Record<string, unknown>;
}

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: pods under the restricted standard: ${missing}`);

describe.skipIf(missing !== undefined)(
  "under the restricted pod security standard, on a real API server",
  () => {
    let server: ApiServer;
    beforeAll(async () => {
      server = await startApiServer();
      const metadata = { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "restricted" } };
      expect((await server.request("POST", "/api/v1/namespaces", { metadata })).status).toBe(201);
    });
    afterAll(async () => server?.stop());

    /** What the server says of a pod, without storing it; "" where it is admitted. */
    async function refusal({ metadata, spec }: PodTemplate): Promise<string> {
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, generateName: "a-" }, spec };
      // Its priority class and runtime class are the cluster's own, and not there: they are no matter of the standard.
      const { priorityClassName: _, runtimeClassName: __, ...rest } = spec;
      const path = `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`;
      const { status, body } = await server.request("POST", path, { ...pod, spec: rest });
      return status === 201 ? "" : String(body.message);
    }

    /** Every pod template that is decided for a spec when it is created, and whether it runs a user's own image. */
    function templatesOf(spec: unknown): { own: boolean; template: PodTemplate }[] {
      const parsed = modelServing.parse({ ...API, metadata: { name: "a" }, spec });
      const metadata = {
        name: "a",
        namespace: NAMESPACE,
        uid: "00000000-0000-0000-0000-000000000001",
        generation: 1,
      };
      const { children } = decide({ ...parsed, metadata } as KubeObject, nothingObserved, new Date(0));
      const images = imagesOf(spec as ModelServingSpec);
      return children
        .filter(({ kind }) => kind === "Deployment")
        .map((child) => (child.spec as { template: PodTemplate }).template)
        .map((template) => ({
          template,
          own: template.spec.containers.some(({ image }) => images.includes(image)),
        }));
    }

    async function expectAdmitted(spec: unknown): Promise<{ admitted: number; own: number }> {
      let [admitted, ownImages] = [0, 0];
      for (const { own, template } of templatesOf(spec)) {
        for (const volume of template.spec.volumes ?? []) {
          const [kind] = Object.keys(volume).filter((key) => key !== "name");
          expect([
            "configMap",
            "emptyDir",
            "persistentVolumeClaim",
            "secret",
            "projected",
            "image",
          ]).toContain(kind);
        }
        const said = await refusal(template);
        // Amounts that don't go together, or two numbers for Gt, which the schema does not look into: this pod can't be, whatever the standard.
        if (/^Pod "[^"]*" is invalid: \[?spec\.(containers|affinity\.nodeAffinity)/.test(said)) continue;
        if (own) {
          ownImages += 1;
          if (said !== "") expect(said).toMatch(USER_OF_IMAGE);
        } else {
          expect(said).toBe("");
          admitted += 1;
        }
      }
      return { admitted, own: ownImages };
    }

    test("every pod of every accepted case is admitted, but for the user that a foreign image runs as", async () => {
      let [admitted, own] = [0, 0];
      for (const one of modelServingCases.filter(({ refused }) => refused === undefined)) {
        const counts = await expectAdmitted((resourceOf(one, "a") as { spec: unknown }).spec);
        admitted += counts.admitted;
        own += counts.own;
      }
      expect(admitted).toBeGreaterThan(20);
      expect(own).toBeGreaterThan(2);
    });

    test("every pod of any spec that the schema accepts is admitted, but for the user that a foreign image runs as", async () => {
      let [admitted, own] = [0, 0];
      await fc.assert(
        fc.asyncProperty(zodArbitrary(modelServingSpec, true), async (spec) => {
          const counts = await expectAdmitted(spec);
          admitted += counts.admitted;
          own += counts.own;
        }),
        { numRuns: 150 },
      );
      expect(admitted).toBeGreaterThan(20);
      expect(own).toBeGreaterThan(5);
    });

    test("a pod that does what no spec can ask for is refused: the standard is really asked", async () => {
      const [first] = templatesOf({ model: { uri: "s3://m/a.onnx", sha256: "a".repeat(64) } });
      if (first === undefined) throw new Error("no pod");
      const { metadata, spec } = first.template;
      expect(await refusal({ metadata, spec })).toBe("");
      const host = { name: "host", hostPath: { path: "/" } };
      const mounted = { ...spec, volumes: [...(spec.volumes ?? []), host] };
      expect(await refusal({ metadata, spec: mounted })).toContain("hostPath");
      expect(await refusal({ metadata, spec: { ...spec, hostNetwork: true } })).toContain("host namespaces");
    });
  },
);

/** A user's own. */
function imagesOf({ container, graph }: ModelServingSpec): string[] {
  const all = [container, ...(graph?.nodes ?? []).map((node) => node.container)];
  return all.flatMap((one) => one?.image ?? []);
}

const API = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };

test("fields that a pod has and a spec has not are refused: host paths, privilege, host namespaces, sidecars", () => {
  const model = { uri: "s3://m/a.onnx", sha256: "a".repeat(64) };
  const accepts = (spec: object) => modelServingSpec.safeParse({ model, ...spec }).success;
  expect(accepts({ pod: {} })).toBe(true);
  for (const field of [
    { hostNetwork: true },
    { hostPID: true },
    { hostIPC: true },
    { hostUsers: false },
    { securityContext: { privileged: true } },
    { volumes: [{ name: "host", hostPath: { path: "/" } }] },
    { volumeMounts: [{ name: "host", mountPath: "/host" }] },
    { containers: [{ name: "more", image: "a" }] },
    { initContainers: [{ name: "more", image: "a" }] },
    { automountServiceAccountToken: true },
    { nodeName: "control-plane" },
    { dnsConfig: {} },
    { hostAliases: [] },
    { namespace: "kube-system" },
  ]) {
    expect(accepts({ pod: field }), JSON.stringify(field)).toBe(false);
  }
  const secret = { name: "KEY", valueFrom: { secretKeyRef: { name: "mine", key: "key" } } };
  expect(accepts({ pod: { env: [secret] } })).toBe(true);
  const elsewhere = {
    name: "KEY",
    valueFrom: { secretKeyRef: { name: "theirs", key: "key", namespace: "other" } },
  };
  expect(accepts({ pod: { env: [elsewhere] } })).toBe(false);
});
