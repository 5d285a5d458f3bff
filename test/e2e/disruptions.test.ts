import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TRACK_LABEL } from "../../operator/model-serving/labels.ts";
import { eventually } from "../support/eventually.ts";
import { missingProxies } from "../zero-loss/proxies/missing.ts";
import { missingCluster } from "./support/cluster.ts";
import {
  drain,
  evict,
  KEPT_MILLISECONDS,
  KILL_API_SERVER,
  keepsReadiness,
  killApiServer,
  killOperator,
  leader,
  nodeOf,
  openNodes,
  RESTART_KUBELET,
  replaced,
  restartKubelet,
  restarts,
  youngest,
} from "./support/disruptions.ts";
import type { Namespace } from "./support/kube.ts";
import { losesNothing } from "./support/lossless.ts";
import { newNamespace } from "./support/namespaces.ts";
import { storedSpec } from "./support/world.ts";

const CANARY = {
  traffic: { routerReplicas: 2 },
  canary: {
    steps: [
      { weightPercent: 20, holdSeconds: 2 },
      { weightPercent: 60, holdSeconds: 2 },
    ],
    analysis: { minRequests: 40 },
    progressDeadlineSeconds: 120,
  },
};

describe.skipIf(missingCluster() !== undefined || missingProxies().length > 0)(
  "disruptions on a cluster",
  () => {
    let namespace: Namespace;
    beforeAll(async () => {
      namespace = await newNamespace("disrupt");
    });
    afterAll(() => namespace.remove());

    it("evictions go one by one, by the budget, and lose nothing", async () => {
      await losesNothing(namespace, (serving) => ({
        name: "eviction",
        spec: storedSpec("v1"),
        async disturb() {
          const [first, second] = (await serving.pods("inference")).map(({ metadata }) => metadata.name);
          if (first === undefined || second === undefined) throw new Error("there are fewer than two pods");
          expect(await evict(namespace, first)).toBe(true);
          expect(await evict(namespace, second)).toBe(false);
          await replaced(serving, first, 2);
          await eventually("the second eviction", () => evict(namespace, second), 60_000);
          await replaced(serving, second, 2);
        },
      }));
    });

    it("a node that is drained leaves its pods to others, and loses nothing", async ({ skip }) => {
      if ((await openNodes(namespace)).length < 2) skip("there is no second node for the pods of the first");
      await losesNothing(namespace, (serving) => ({
        name: "drain",
        spec: storedSpec("v1"),
        async disturb() {
          const node = await nodeOf(serving);
          await drain(namespace, node, async () => {
            await eventually(
              "both pods to be ready elsewhere",
              () => serving.status()?.readyReplicas === 2,
              60_000,
            );
            expect(await nodeOf(serving)).not.toBe(node);
          });
        },
      }));
    });

    it("a canary whose only pod is evicted begins its step anew, is promoted, and loses nothing", async () => {
      const steps = [{ weightPercent: 20, holdSeconds: 8 }];
      const slow = { ...CANARY, canary: { ...CANARY.canary, steps } };
      await losesNothing(namespace, (serving) => ({
        name: "eviction of a canary",
        spec: storedSpec("v1", slow),
        async disturb(world) {
          const promoted = world.apply(storedSpec("v2", slow));
          await serving.settled("a step", ({ canary }) => canary?.stepStartedAt !== undefined);
          const pods = (await serving.pods("inference")).map(({ metadata }) => metadata);
          const [only, ...others] = pods.filter(({ labels }) => labels?.[TRACK_LABEL] === "canary");
          expect(others).toEqual([]);
          expect(await evict(namespace, only?.name ?? "")).toBe(true);
          await serving.settled("an interruption", ({ canary }) => canary?.interruptions === 1);
          expect((await promoted).lastRollout?.result).toBe("Promoted");
        },
      }));
    });

    it("a canary goes on under another leader when the operator is killed in the middle of it", async () => {
      await losesNothing(namespace, (serving) => ({
        name: "operator killed in mid-canary",
        spec: storedSpec("v1", CANARY),
        async disturb(world) {
          const killed = await leader(namespace);
          const promoted = world.apply(storedSpec("v2", CANARY));
          await serving.settled("a canary that steps", ({ canary }) => canary?.phase === "Stepping");
          await killOperator(namespace, killed);
          const { lastRollout } = await promoted;
          expect(lastRollout?.result).toBe("Promoted");
          expect(await leader(namespace)).not.toBe(killed);
        },
      }));
    });

    it.skipIf(KILL_API_SERVER === undefined)(
      "a canary goes on when the API server is killed in the middle of it and back after some seconds",
      async () => {
        await losesNothing(namespace, (serving) => ({
          name: "API server killed in mid-canary",
          spec: storedSpec("v1", CANARY),
          async disturb(world) {
            const promoted = world.apply(storedSpec("v2", CANARY));
            await serving.settled("a canary that steps", ({ canary }) => canary?.phase === "Stepping");
            await killApiServer(namespace, KILL_API_SERVER ?? "");
            expect((await promoted).lastRollout?.result).toBe("Promoted");
          },
        }));
      },
    );

    it("a canary under way is taken back when the operator is killed while answers are wrong", async () => {
      const canary = {
        ...CANARY.canary,
        analysis: { minRequests: 40, divergence: { mirrorPercent: 100, maxPerMille: 300 } },
      };
      await losesNothing(namespace, (serving) => ({
        name: "operator killed before a rollback",
        spec: storedSpec("v1", { ...CANARY, canary }),
        async disturb(world) {
          const killed = await leader(namespace);
          const settled = world.apply(
            storedSpec("broken-wrong", { ...CANARY, canary }),
            (status) => status.lastRollout?.result === "RolledBack" && status.canary === undefined,
          );
          await serving.settled("a canary", (status) => status.canary !== undefined);
          await killOperator(namespace, killed);
          const { conditions } = await settled;
          const is = (type: string) => conditions?.find((one) => one.type === type)?.status;
          expect([is("Ready"), is("RolloutComplete"), is("Degraded")]).toEqual(["True", "False", "True"]);
        },
      }));
    });

    it.skipIf(RESTART_KUBELET === undefined)(
      "a kubelet that restarts restarts no pod and loses nothing",
      async ({ skip }) => {
        if (!(await keepsReadiness(namespace)))
          skip("kubelets before 1.35 call every pod unready when they restart");
        await losesNothing(namespace, (serving) => ({
          name: "kubelet restart",
          spec: storedSpec("v1"),
          async disturb() {
            await eventually(
              "pods that a kubelet keeps ready",
              async () => (await youngest(serving)) > KEPT_MILLISECONDS,
            );
            const before = await restarts(serving);
            await restartKubelet(namespace, RESTART_KUBELET ?? "");
            await eventually("both pods to be ready", () => serving.endpoints().length === 2, 60_000);
            expect(await restarts(serving)).toEqual(before);
          },
        }));
      },
    );

    it("an autoscaler that follows the load up and down loses nothing", async () => {
      // Of a request this small, what serving takes at rest is far below the first target, and the load far above.
      const pod = { resources: { requests: { cpu: "50m" } } };
      const { replicas: _fixed, ...rest } = storedSpec("v1", { pod }) as { replicas: number };
      const scaledAt = (target: number) => ({
        ...rest,
        autoscaling: {
          minReplicas: 1,
          maxReplicas: 3,
          metrics: [{ type: "CPU", target }],
          scaleDownStabilizationSeconds: 0,
        },
      });
      await losesNothing(namespace, (serving) => ({
        name: "autoscaling by load",
        spec: scaledAt(20),
        async disturb(world) {
          await serving.settled(
            "more replicas",
            ({ replicas = 0, readyReplicas }) => replicas > 1 && readyReplicas === replicas,
          );
          await world.apply(scaledAt(10_000), ({ replicas }) => replicas === 1);
        },
      }));
    });
  },
);
