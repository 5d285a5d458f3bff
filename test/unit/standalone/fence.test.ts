import { describe, expect, test } from "vitest";
import { modelServing } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { decide } from "../../../operator/model-serving/decide.ts";
import type { Observed } from "../../../operator/model-serving/observed.ts";
import { checkSupported, notAppliedIn } from "../../../operator/standalone/supported.ts";
import { modelServingCases, resourceOf } from "../../support/model-serving-cases.ts";

const observed: Observed = {
  settings: { runtimeImage: "runtime", namespace: "naru", prometheusUrl: "http://prometheus:9090" },
  routerKeys: ["A".repeat(43)],
  kept: [],
  workloads: new Map(),
  pods: [],
  routers: [],
  routing: undefined,
  routerConfig: undefined,
  scalers: [],
  routes: [],
  configMaps: new Set(),
  serves: () => true,
  hides: () => false,
};

/** Why standalone refuses a child, or undefined. */
function refusal(child: KubeObject): string | undefined {
  try {
    checkSupported(child, (image) => (image === "runtime" ? "main.ts" : undefined));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const accepted = modelServingCases.filter(({ refused }) => refused === undefined);
const decided = accepted.flatMap((one) => {
  const parsed = modelServing.parse(resourceOf(one, "a"));
  const metadata = { name: "a", namespace: "default", uid: "u", generation: 1 };
  const { children } = decide({ ...parsed, metadata } as KubeObject, observed, new Date(0));
  return children.map((child) => ({ name: one.name, spec: parsed.spec, child }));
});

describe("what decide emits", () => {
  test("is of kinds that standalone knows, whatever the resource says", () => {
    expect(decided.length).toBeGreaterThan(100);
    expect(
      decided.map(({ child }) => refusal(child) ?? "").filter((why) => why.includes("the kind")),
    ).toEqual([]);
  });

  test("runs, but for a user's own image and a token that only Kubernetes can give", () => {
    const others = decided.flatMap(({ name, child }) => {
      const why = refusal(child);
      const known = why === undefined || /use a Kubernetes cluster for it$|serviceAccountToken/.test(why);
      return known ? [] : [`${name}: ${child.kind}: ${why}`];
    });
    expect(others).toEqual([]);
  });

  test("is told as not applied where a laptop has nothing that would act on it", () => {
    const told = (kind: string) =>
      decided
        .filter(({ child }) => child.kind === kind && refusal(child) === undefined)
        .map(({ child }) => notAppliedIn(child));
    expect(told("HorizontalPodAutoscaler")[0]).toEqual(["HorizontalPodAutoscaler"]);
    expect(told("NetworkPolicy")[0]).toEqual(["NetworkPolicy"]);
    expect(told("Service").flat()).toEqual([]);
    expect(told("Deployment")[0]).toContain("spec.template.spec.topologySpreadConstraints");
  });
});
