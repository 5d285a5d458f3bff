import { describe, expect, test } from "vitest";
import { type DeploymentStatus, deploymentStatus } from "../../../operator/standalone/deployment-status.ts";
import type { RolloutPod } from "../../../operator/standalone/rollout.ts";

const start = Date.parse("2026-01-01T00:00:00Z");
const at = (seconds: number) => new Date(start + seconds * 1000);
const pod = (name: string, fields: Partial<RolloutPod> = {}): RolloutPod => ({
  name,
  current: true,
  ready: true,
  available: true,
  created: 0,
  ...fields,
});
const unready = { ready: false, available: false };
const old = { current: false };

function status(
  seconds: number,
  pods: RolloutPod[],
  before?: DeploymentStatus,
  generation = 1,
): DeploymentStatus {
  const spec = { replicas: 2, progressDeadlineSeconds: 60, template: { spec: { containers: [] } } };
  const strategy = { rollingUpdate: { maxUnavailable: 0 } };
  return deploymentStatus({
    spec: { ...spec, strategy },
    generation,
    replicaSet: "web-1",
    pods,
    before,
    now: at(seconds),
  });
}
const progressing = (of: DeploymentStatus) => of.conditions.find(({ type }) => type === "Progressing");

describe("a Deployment's status", () => {
  test("counts pods as Kubernetes does", () => {
    const pods = [pod("a"), pod("b", { available: false }), pod("c", unready), pod("d", old)];
    expect(status(0, pods)).toMatchObject({
      observedGeneration: 1,
      replicas: 4,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 2,
      unavailableReplicas: 0,
    });
  });

  test("is complete only when every pod is new and available, and none is left over", () => {
    expect(progressing(status(0, [pod("a"), pod("b")]))?.reason).toBe("NewReplicaSetAvailable");
    for (const pods of [[pod("a")], [pod("a"), pod("b", unready)], [pod("a"), pod("b"), pod("c", old)]]) {
      expect(progressing(status(0, pods))?.reason).toBe("ReplicaSetUpdated");
    }
  });

  test("its deadline counts from the last move, and a late move takes the verdict back", () => {
    const begun = status(0, [pod("a", unready)]);
    const moved = status(50, [pod("a"), pod("b", unready)], begun);
    expect(progressing(moved)).toMatchObject({ status: "True", lastUpdateTime: "2026-01-01T00:00:50Z" });
    const waiting = status(110, [pod("a"), pod("b", unready)], moved);
    expect(progressing(waiting)).toMatchObject({ status: "True", lastUpdateTime: "2026-01-01T00:00:50Z" });
    const late = status(111, [pod("a"), pod("b", unready)], waiting);
    expect(progressing(late)).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
    expect(progressing(status(112, [pod("a"), pod("b", unready)], late))).toMatchObject({
      status: "False",
      lastTransitionTime: "2026-01-01T00:01:51Z",
    });
    expect(progressing(status(113, [pod("a"), pod("b")], late))).toMatchObject({ status: "True" });
  });

  test("a pod that fails after the rollout is no failed rollout, until the next one", () => {
    const complete = status(0, [pod("a"), pod("b")]);
    const broken = status(1000, [pod("a"), pod("b", unready)], complete);
    expect(progressing(broken)?.reason).toBe("NewReplicaSetAvailable");
    expect(broken.conditions[0]).toMatchObject({ type: "Available", status: "False" });
    expect(progressing(status(1001, [pod("a", old), pod("b", old)], broken, 2))?.reason).toBe(
      "ReplicaSetUpdated",
    );
  });
});
