import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asPod, isReady } from "../../../operator/standalone/pod-types.ts";
import { eventually } from "../../support/eventually.ts";
import { deployment, openRoom, podStatus, podsOf, type Room, service, statusOf, urlOf } from "./harness.ts";

let room: Room;
beforeEach(async () => {
  room = await openRoom();
});
afterEach(() => room.dispose());

const apply = (object: Parameters<Room["standalone"]["cluster"]["apply"]>[0]) =>
  room.standalone.cluster.apply(object);
const readyPods = (name: string) => podsOf(room, name).filter((pod) => isReady(asPod(pod)));
const isComplete = (name: string, replicas: number) => {
  const status = statusOf(room, name);
  return (
    status.replicas === replicas &&
    status.updatedReplicas === replicas &&
    status.availableReplicas === replicas
  );
};

interface Line {
  event: string;
  pod: string;
  pid: number;
  at: number;
}
function journal(): Line[] {
  const file = join(room.dir, "journal");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const deploymentRef = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default" };

describe("a Deployment", () => {
  test("becomes ready pods behind its Service, with the status that Kubernetes gives", async () => {
    await apply(service("web"));
    await apply(deployment({ name: "web", replicas: 2, env: { VERSION: "1", WORKER: "1" } }));
    await eventually("complete", () => isComplete("web", 2));
    const names = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(urlOf(room, "web"), { headers: { connection: "close" } });
      names.add(((await answer.json()) as { pod: string }).pod);
    }
    expect([...names].sort()).toEqual(
      podsOf(room, "web")
        .map((pod) => pod.metadata.name)
        .sort(),
    );
    expect(statusOf(room, "web")).toMatchObject({
      observedGeneration: 1,
      readyReplicas: 2,
      unavailableReplicas: 0,
      conditions: [
        { type: "Available", status: "True", reason: "MinimumReplicasAvailable" },
        { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" },
      ],
    });
    const [pod] = podsOf(room, "web");
    expect(podStatus(pod)).toMatchObject({ phase: "Running", podIP: "127.0.0.1" });
    const { containers } = asPod(pod as never).spec;
    const port = containers[0]?.ports?.[0]?.containerPort ?? 0;
    expect(port).not.toBe(8080);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    const hosts = JSON.parse(readFileSync(join(room.dir, ".naru/hosts.json"), "utf8"));
    expect(hosts).toEqual({ "web.default.svc:80": urlOf(room, "web").slice("http://".length) });
  });

  test("rolls to a new version under load through its Service, and no request is lost", async () => {
    await apply(service("web"));
    await apply(deployment({ name: "web", replicas: 2, env: { VERSION: "1" } }));
    await eventually("complete", () => isComplete("web", 2));
    const url = urlOf(room, "web");
    const versions = new Map<string, number>();
    const lost: unknown[] = [];
    let [loading, lowest] = [true, 2];
    const clients = Array.from({ length: 8 }, async () => {
      while (loading) {
        try {
          const answer = await fetch(url, { method: "POST", body: "x" });
          const { version } = (await answer.json()) as { version: string };
          versions.set(version, (versions.get(version) ?? 0) + 1);
        } catch (error) {
          lost.push(error);
        }
        lowest = Math.min(lowest, readyPods("web").length);
      }
    });
    await eventually("load", () => (versions.get("1") ?? 0) > 200);
    await apply(deployment({ name: "web", replicas: 2, env: { VERSION: "2" } }));
    await eventually("rolled", () => isComplete("web", 2) && statusOf(room, "web").observedGeneration === 2);
    const after = versions.get("2") ?? 0;
    await eventually("load on the new version", () => (versions.get("2") ?? 0) > after + 200);
    loading = false;
    await Promise.all(clients);
    expect(lost).toEqual([]);
    expect(lowest).toBe(2);
    expect([...versions.keys()].sort()).toEqual(["1", "2"]);
  });

  test("scales down to the oldest pods that are ready, and its deletion ends every process", async () => {
    await apply(deployment({ name: "web", replicas: 3, env: { JOURNAL: join(room.dir, "journal") } }));
    await eventually("complete", () => isComplete("web", 3));
    const { object } = await apply(
      deployment({ name: "web", replicas: 1, env: { JOURNAL: join(room.dir, "journal") } }),
    );
    await eventually("one left", () => podsOf(room, "web").length === 1);
    await room.standalone.cluster.delete({ ...object, namespace: "default", name: "web" });
    await eventually("none left", () => podsOf(room, "web").length === 0);
    expect(journal().filter(({ event }) => event === "start").length).toBe(3);
    expect(journal().filter(({ pid }) => isAlive(pid))).toEqual([]);
  });

  test("keeps the old pods when the new ones never become ready, and says that the deadline passed", async () => {
    await apply(deployment({ name: "web", env: { VERSION: "1" } }));
    await eventually("complete", () => isComplete("web", 1));
    const [old] = podsOf(room, "web");
    const never = { readinessProbe: { httpGet: { path: "/live", port: 9 }, periodSeconds: 1 } };
    await apply(
      deployment({
        name: "web",
        env: { VERSION: "2" },
        container: never,
        spec: { progressDeadlineSeconds: 1 },
      }),
    );
    await eventually("deadline", () =>
      statusOf(room, "web").conditions?.some(
        ({ status, reason }) => status === "False" && reason === "ProgressDeadlineExceeded",
      ),
    );
    expect(readyPods("web").map((pod) => pod.metadata.name)).toEqual([old?.metadata.name]);
    expect(statusOf(room, "web")).toMatchObject({ replicas: 2, updatedReplicas: 1, readyReplicas: 1 });
  });

  test("replaces a pod that is deleted, and its endpoint leaves before preStop and SIGTERM", async () => {
    const JOURNAL = join(room.dir, "journal");
    await apply(service("web"));
    await apply(
      deployment({
        name: "web",
        env: { JOURNAL },
        container: { lifecycle: { preStop: { sleep: { seconds: 1 } } } },
      }),
    );
    await eventually("complete", () => isComplete("web", 1));
    const [old] = podsOf(room, "web");
    const deletedAt = Date.now();
    await room.standalone.cluster.delete({
      apiVersion: "v1",
      kind: "Pod",
      namespace: "default",
      name: old?.metadata.name ?? "",
    });
    // The new pod is not up yet and the old one still runs: nothing but the endpoint has changed.
    await expect(fetch(urlOf(room, "web"))).rejects.toThrow();
    await eventually("replaced", () => {
      const names = podsOf(room, "web").map((pod) => pod.metadata.name);
      return isComplete("web", 1) && names.length === 1 && names[0] !== old?.metadata.name;
    });
    const events = journal().filter(({ pod }) => pod === old?.metadata.name);
    expect(events.map(({ event }) => event)).toEqual(["start", "SIGTERM", "exit"]);
    expect((events[1]?.at ?? 0) - deletedAt).toBeGreaterThan(900);
  });

  test("a container that ignores SIGTERM is killed when its grace is over", async () => {
    const JOURNAL = join(room.dir, "journal");
    await apply(
      deployment({ name: "web", env: { JOURNAL, STUBBORN: "1" }, pod: { terminationGracePeriodSeconds: 1 } }),
    );
    await eventually("complete", () => isComplete("web", 1));
    const [{ pid } = { pid: 0 }] = journal();
    await room.standalone.cluster.delete({
      apiVersion: "apps/v1",
      kind: "Deployment",
      namespace: "default",
      name: "web",
    });
    await eventually("told", () => journal().some(({ event }) => event === "SIGTERM"));
    expect(isAlive(pid)).toBe(true);
    await eventually("killed", () => !isAlive(pid));
    await eventually("pod gone", () => podsOf(room, "web").length === 0);
  });
});

describe("a container", () => {
  test("that crashes is restarted with growing waits, its last words in the status", async () => {
    await apply(deployment({ name: "web", env: { CRASH: "30", WORDS: '{"code":"DigestMismatch"}' } }));
    const status = await eventually("three restarts and a wait", () => {
      const found = podStatus(podsOf(room, "web")[0])?.containerStatuses[0];
      return found !== undefined && found.restartCount >= 3 && found.state.waiting !== undefined && found;
    });
    expect(status.state.waiting?.reason).toBe("CrashLoopBackOff");
    // First restart at once, then 50, 100, 200 ms.
    expect(status.state.waiting?.message).toContain("back-off 0.2s");
    expect(status.lastState.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
      message: '{"code":"DigestMismatch"}',
    });
    expect(statusOf(room, "web").readyReplicas).toBe(0);
    const events = room.standalone.cluster.list({ apiVersion: "v1", kind: "Event" });
    expect(events.map(({ reason }) => reason)).toContain("BackOff");
  });

  test("whose liveness fails is restarted in place", async () => {
    const livenessProbe = { httpGet: { path: "/live", port: "http" }, periodSeconds: 1, failureThreshold: 1 };
    await apply(service("web"));
    const startupProbe = { httpGet: { path: "/live", port: "http" }, periodSeconds: 1 };
    await apply(deployment({ name: "web", container: { livenessProbe, startupProbe } }));
    await eventually("complete", () => isComplete("web", 1));
    const before = podsOf(room, "web")[0]?.metadata.name;
    await fetch(`${urlOf(room, "web")}/break`);
    await eventually(
      "restarted",
      () => podStatus(podsOf(room, "web")[0])?.containerStatuses[0]?.restartCount === 1,
    );
    await eventually("ready again", () => readyPods("web").length === 1);
    expect(podsOf(room, "web")[0]?.metadata.name).toBe(before);
  });

  test("that drains is told so once, though its liveness fails meanwhile", async () => {
    const JOURNAL = join(room.dir, "journal");
    const livenessProbe = {
      httpGet: { path: "/ready", port: "http" },
      periodSeconds: 0.05,
      failureThreshold: 1,
    };
    const startupProbe = { httpGet: { path: "/live", port: "http" }, periodSeconds: 1 };
    await apply(service("web"));
    await apply(
      deployment({ name: "web", env: { JOURNAL, WORK: "600" }, container: { livenessProbe, startupProbe } }),
    );
    await eventually("complete", () => isComplete("web", 1));
    const answer = fetch(urlOf(room, "web"));
    await eventually("in flight", async () => (await fetch(`${urlOf(room, "web")}/live`)).ok);
    await room.standalone.cluster.delete({ ...deploymentRef, name: "web" });
    expect((await answer).status).toBe(200);
    await eventually("pod gone", () => podsOf(room, "web").length === 0);
    expect(journal().filter(({ event }) => event === "SIGTERM").length).toBe(1);
  });

  test("is killed when its startup probe never succeeds", async () => {
    const startupProbe = { tcpSocket: { port: 9 }, periodSeconds: 1, failureThreshold: 1 };
    await apply(deployment({ name: "web", container: { startupProbe } }));
    await eventually(
      "restarted",
      () => (podStatus(podsOf(room, "web")[0])?.containerStatuses[0]?.restartCount ?? 0) >= 1,
    );
    expect(readyPods("web")).toEqual([]);
  });

  test("starts after its init containers, which have filled its volume and are tried again when they fail", async () => {
    const JOURNAL = join(room.dir, "journal");
    const init = (name: string, code: string) => ({
      name,
      image: "example.com/naru-runtime:test",
      args: ["exit"],
      env: [
        { name: "JOURNAL", value: JOURNAL },
        { name: "POD_NAME", value: name },
        { name: "EXIT_CODE", value: code },
      ],
    });
    await apply(
      deployment({
        name: "good",
        env: { JOURNAL },
        pod: { initContainers: [init("one", "0"), init("two", "0")] },
      }),
    );
    await eventually("complete", () => isComplete("good", 1));
    expect(
      journal()
        .filter(({ event }) => event === "start")
        .map(({ pod }) => pod),
    ).toEqual(["one", "two", podsOf(room, "good")[0]?.metadata.name]);
    await apply(deployment({ name: "bad", pod: { initContainers: [init("fails", "7")] } }));
    const failed = await eventually("tried again", () => {
      const found = podStatus(podsOf(room, "bad")[0])?.initContainerStatuses[0];
      return found !== undefined && found.restartCount >= 2 && found;
    });
    expect(failed.lastState.terminated?.exitCode).toBe(7);
    expect(podStatus(podsOf(room, "bad")[0])).toMatchObject({
      phase: "Pending",
      containerStatuses: [{ state: { waiting: {} } }],
    });
  });

  test("finds its mounts, ports, fields and keys in its environment, and waits for a Secret that is not there", async () => {
    await apply(service("web"));
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "config", namespace: "default" },
      data: { "a.json": "1" },
    });
    const { spec } = deployment({ name: "web" }) as {
      spec: { template: { spec: { containers: { env: unknown[] }[] } } };
    };
    const web = deployment({
      name: "web",
      pod: {
        volumes: [
          { name: "config", configMap: { name: "config" } },
          { name: "models", persistentVolumeClaim: { claimName: "cache" } },
        ],
      },
      container: {
        volumeMounts: [
          { name: "config", mountPath: "/etc/naru" },
          { name: "models", mountPath: "/models" },
        ],
        env: [
          ...(spec.template.spec.containers[0]?.env ?? []),
          { name: "NARU_CONFIG_DIR", value: "/etc/naru" },
          { name: "CA", value: "/etc/naru/ca.pem" },
          { name: "NARU_MODELS_DIR", value: "/models" },
          { name: "OTHER", value: "8080" },
          { name: "TOKEN", valueFrom: { secretKeyRef: { name: "token", key: "t" } } },
        ],
      },
    });
    await apply(web);
    await eventually("waits", () => {
      const { waiting } = podStatus(podsOf(room, "web")[0])?.containerStatuses[0]?.state ?? {};
      return waiting?.reason === "CreateContainerConfigError" && waiting.message?.includes('Secret "token"');
    });
    const data = { t: Buffer.from("s3cret").toString("base64") };
    await apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "token", namespace: "default" },
      data,
    });
    await eventually("complete", () => isComplete("web", 1));
    const env = (await (await fetch(`${urlOf(room, "web")}/env`)).json()) as Record<string, string>;
    const pod = asPod(podsOf(room, "web")[0] as never);
    expect(readFileSync(join(env.NARU_CONFIG_DIR ?? "", "a.json"), "utf8")).toBe("1");
    expect(env).toMatchObject({
      CA: `${env.NARU_CONFIG_DIR}/ca.pem`,
      NARU_MODELS_DIR: join(room.dir, ".naru/claims/default/cache"),
      NARU_HTTP_PORT: String(pod.spec.containers[0]?.ports?.[0]?.containerPort),
      NARU_LISTEN_HOST: "127.0.0.1",
      NARU_HOSTS_FILE: join(room.dir, ".naru/hosts.json"),
      OTHER: "8080",
      TOKEN: "s3cret",
      POD_NAME: pod.metadata.name,
    });
    expect(env.USER).toBeUndefined();
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "config", namespace: "default" },
      data: { "a.json": "2" },
    });
    await eventually(
      "mounted file follows",
      () => readFileSync(join(env.NARU_CONFIG_DIR ?? "", "a.json"), "utf8") === "2",
    );
  });
});

describe("a Job", () => {
  const job = (name: string, code: string, backoffLimit: number) => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: "default" },
    spec: {
      backoffLimit,
      template: {
        metadata: { labels: { app: name } },
        spec: {
          restartPolicy: "Never",
          containers: [
            {
              name: "work",
              image: "example.com/naru-runtime:test",
              args: ["exit"],
              env: [{ name: "EXIT_CODE", value: code }],
            },
          ],
        },
      },
    },
  });
  const status = (name: string) =>
    room.standalone.cluster.get({ apiVersion: "batch/v1", kind: "Job", namespace: "default", name })?.status;

  test("is complete when its pod succeeds", async () => {
    await apply(job("good", "0", 0));
    await eventually("complete", () => JSON.stringify(status("good") ?? "").includes("CompletionsReached"));
    expect(status("good")).toMatchObject({
      succeeded: 1,
      failed: 0,
      conditions: [{ type: "Complete", status: "True" }],
    });
  });

  test("fails when more pods failed than its backoffLimit", async () => {
    await apply(job("bad", "1", 1));
    await eventually("failed", () => JSON.stringify(status("bad") ?? "").includes("BackoffLimitExceeded"));
    expect(status("bad")).toMatchObject({
      succeeded: 0,
      failed: 2,
      conditions: [{ type: "Failed", status: "True" }],
    });
  });
});

describe("the fence", () => {
  test("an image that is not Naru's own needs Kubernetes", async () => {
    const foreign = deployment({ name: "web", container: { image: "nvcr.io/tritonserver:1" } });
    await expect(apply(foreign)).rejects.toThrow(/nvcr.io\/tritonserver:1 .* Kubernetes/);
  });

  test("a field that it does not run is refused by its path, one that it only stores is not", async () => {
    await expect(apply(deployment({ name: "web", pod: { hostNetwork: true } }))).rejects.toThrow(
      "spec.template.spec.hostNetwork",
    );
    await expect(apply(deployment({ name: "web", container: { command: ["sh"] } }))).rejects.toThrow(
      "containers[server].command",
    );
    await expect(
      apply(deployment({ name: "web", pod: { nodeSelector: { gpu: "yes" } } })),
    ).resolves.toBeDefined();
  });

  test("names that would lead out of the state folder are refused", async () => {
    const volumes = [{ name: "x", persistentVolumeClaim: { claimName: "../../out" } }];
    await expect(apply(deployment({ name: "web", pod: { volumes } }))).rejects.toThrow("../../out");
  });
});
