import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelServing } from "../../crds/model-serving.ts";
import { differs, toApply } from "../../operator/engine/diff.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { decide } from "../../operator/model-serving/decide.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";
import { nothingObserved } from "../support/nothing-observed.ts";

/** Where an API server without add-ons keeps the kinds of our children; others need their own API installed. */
const PATHS: Readonly<Record<string, string>> = {
  ConfigMap: "/api/v1/namespaces/default/configmaps",
  ControllerRevision: "/apis/apps/v1/namespaces/default/controllerrevisions",
  Deployment: "/apis/apps/v1/namespaces/default/deployments",
  HorizontalPodAutoscaler: "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
  NetworkPolicy: "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
  PodDisruptionBudget: "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
  Service: "/api/v1/namespaces/default/services",
  ServiceAccount: "/api/v1/namespaces/default/serviceaccounts",
};

const decided = modelServingCases
  .filter(({ refused }) => refused === undefined)
  .map((one, index) => {
    const name = `case-${index}`;
    const parsed = modelServing.parse(resourceOf(one, name));
    const metadata = {
      name,
      namespace: "default",
      uid: `00000000-0000-0000-0000-00000000000${index % 10}`,
      generation: 1,
    };
    const { children } = decide({ ...parsed, metadata } as KubeObject, nothingObserved, new Date(0));
    // The controller leaves out what the cluster does not serve (HTTPRoute and GRPCRoute here).
    return { name: one.name, children: children.filter(({ kind }) => kind in PATHS) };
  });

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: children on a real API server: ${missing}`);

describe.skipIf(missing !== undefined)("the children that decide emits, on a real API server", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
  });
  afterAll(async () => server?.stop());

  test("are of every kind that such a server has", () => {
    const kinds = new Set(decided.flatMap(({ children }) => children.map(({ kind }) => kind)));
    expect([...kinds].sort()).toEqual(Object.keys(PATHS).sort());
  });

  for (const { name, children } of decided) {
    test(`are valid, and seen as they were wanted once stored: ${name}`, async () => {
      for (const child of children) {
        const path = `${PATHS[child.kind]}/${child.metadata.name}?fieldManager=naru-operator&force=true&fieldValidation=Strict`;
        const answer = await server.request("PATCH", path, toApply(child), "application/apply-patch+yaml");
        expect(answer.body.message ?? "", `${child.kind} ${child.metadata.name}`).toBe("");
        expect(answer.warnings).toBe("");
        const stored = answer.body as unknown as KubeObject;
        expect(differs(child, stored), `${child.kind} ${child.metadata.name} would be applied again`).toBe(
          false,
        );
      }
    });
  }
});
