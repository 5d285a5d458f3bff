import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { missingProxies } from "../zero-loss/proxies/missing.ts";
import { missingCluster, testCluster } from "./support/cluster.ts";
import { contentsOf } from "./support/contents.ts";
import { helmOn, installChart, OPERATOR_NAMESPACE, RELEASE } from "./support/install.ts";
import type { Namespace } from "./support/kube.ts";
import { losesNothing } from "./support/lossless.ts";
import { newNamespace } from "./support/namespaces.ts";
import { openServing, type Serving } from "./support/serving.ts";
import { storedSpec } from "./support/world.ts";

/** Another image that holds the runtime, as the next release's would. */
const NEXT_RUNTIME = "localhost/naru-digits";

const CANARY = { canary: { steps: [{ weightPercent: 50, holdSeconds: 1 }] } };

describe.skipIf(missingCluster() !== undefined || missingProxies().length > 0)(
  "the chart on a cluster",
  () => {
    let namespace: Namespace;
    beforeAll(async () => {
      namespace = await newNamespace("chart");
    });
    // What an earlier test left of it, or took away.
    beforeEach(() => installChart(testCluster()));
    afterAll(async () => {
      await installChart(testCluster());
      await namespace.remove();
    });

    /** Whether the release and what came of it are gone, the definition aside. */
    async function nothingLeft(): Promise<boolean> {
      const left = await namespace.run([
        ...["get", "clusterroles,clusterrolebindings,priorityclasses,all,configmaps,roles,rolebindings"],
        ...["--namespace", OPERATOR_NAMESPACE, "--output", "name"],
        ...["--selector", `app.kubernetes.io/instance=${RELEASE}`],
      ]);
      return left.trim() === "";
    }

    /** Identity and restarts of all that serves. */
    async function serving(of: Serving): Promise<readonly unknown[]> {
      const pods = [...(await of.pods("inference")), ...(await of.pods("router"))];
      return pods.map(({ metadata, status }) => {
        const { containerStatuses } = status as { containerStatuses: { restartCount: number }[] };
        return [metadata.uid, containerStatuses.map(({ restartCount }) => restartCount)];
      });
    }

    it("an upgrade restarts no serving pod and loses nothing; the new runtime comes with the next change", async () => {
      await losesNothing(namespace, (digits) => ({
        name: "chart upgrade",
        spec: storedSpec("v1", CANARY),
        async disturb(world) {
          const before = await serving(digits);
          expect(before).toHaveLength(4);
          await installChart(testCluster(), [
            ...["--set", `runtimeImage.repository=${NEXT_RUNTIME}`],
            // Another template of the operator's own pods, so that both are replaced.
            ...["--set", "podAnnotations.release=next"],
          ]);
          expect(await serving(digits)).toEqual(before);
          const { runtimeImage } = await world.apply(storedSpec("v2", CANARY));
          expect(runtimeImage).toContain(NEXT_RUNTIME);
        },
      }));
    });

    it("uninstalled, it leaves what serves and its definition, and takes over again when it comes back", async () => {
      await losesNothing(namespace, (digits) => ({
        name: "chart uninstalled and installed",
        spec: storedSpec("v1", CANARY),
        async disturb(world) {
          const before = await serving(digits);
          await helmOn(testCluster(), ["uninstall", RELEASE, "--wait"]);
          await eventually("nothing of the operator to be left", nothingLeft, 60_000);
          expect(await namespace.get("modelserving", "digits")).toBeDefined();
          await installChart(testCluster());
          await world.apply(
            storedSpec("v1", { ...CANARY, replicas: 3 }),
            ({ readyReplicas }) => readyReplicas === 3,
          );
          expect(await serving(digits)).toEqual(expect.arrayContaining([...before]));
        },
      }));
    });

    it("a deleted ModelServing leaves nothing behind, nor does one whose rollout is under way", async () => {
      const before = await contentsOf(namespace);
      const digits = openServing(namespace, "digits");
      try {
        const settings = { ...CANARY, autoscaling: { minReplicas: 2, maxReplicas: 3 } };
        const { replicas: _fixed, ...spec } = storedSpec("v1", settings) as { replicas: number };
        await digits.apply(spec);
        expect(await contentsOf(namespace)).not.toEqual(before);
        await digits.apply(
          { ...spec, ...storedSpec("v2", settings), replicas: undefined },
          ({ canary }) => canary !== undefined,
        );
        await digits.remove();
        expect(await contentsOf(namespace)).toEqual(before);
      } finally {
        await digits.stop();
      }
    });
  },
);
