import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { followLog, logFileOf, openStandalone } from "../../../operator/standalone/client.ts";
import { readObjects } from "../../../operator/standalone/persistence.ts";
import { eventually } from "../../support/eventually.ts";
import { deployment, openRoom, podsOf, type Room, resource, service, statusOf, urlOf } from "./harness.ts";

let dir: string;
const rooms: Room[] = [];
const children: ChildProcess[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "naru-test-"));
});
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.standalone.stop();
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
});

async function open(options: Parameters<typeof openRoom>[0] = {}): Promise<Room> {
  const room = await openRoom({ dir, ...options });
  rooms.push(room);
  return room;
}

/** Starts a `naru up` of its own process; answers when its pods are ready, with what it printed. */
async function up(env: Record<string, string> = {}): Promise<{ child: ChildProcess; output: () => string }> {
  const pairs = Object.entries({ JOURNAL: join(dir, "journal"), ...env }).map((pair) => pair.join("="));
  const child = spawn(process.execPath, [join(import.meta.dirname, "up.ts"), dir, ...pairs]);
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  await eventually("up or failed", () => text.includes("ready") || child.exitCode !== null);
  return { child, output: () => text };
}

function started(): { event: string; pid: number }[] {
  if (!existsSync(join(dir, "journal"))) return [];
  return readFileSync(join(dir, "journal"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function alive(): number[] {
  return started()
    .map(({ pid }) => pid)
    .filter(
      (pid) => existsSync(`/proc/${pid}/stat`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "),
    );
}

describe("the end of naru up", () => {
  test("stop ends every process after its clients, and leaves no port, socket or lock", async () => {
    const room = await open();
    await room.standalone.cluster.apply(service("web"));
    await room.standalone.cluster.apply(
      deployment({ name: "web", replicas: 2, env: { JOURNAL: join(dir, "journal"), WORK: "300" } }),
    );
    await eventually("ready", () => statusOf(room, "web").availableReplicas === 2);
    const url = urlOf(room, "web");
    const inFlight = fetch(url);
    await eventually("in flight", async () => (await fetch(`${url}/live`)).ok);
    await room.standalone.stop();
    expect((await inFlight).status).toBe(200);
    expect(started().filter(({ event }) => event === "exit").length).toBe(2);
    expect(alive()).toEqual([]);
    await expect(fetch(url)).rejects.toThrow();
    expect(existsSync(join(dir, ".naru/up.json"))).toBe(false);
    expect(await readdir(join(dir, ".naru/processes"))).toEqual([]);
  });

  test("those who call others end first, so that what they still ask is answered", async () => {
    const room = await open();
    const { cluster } = room.standalone;
    const JOURNAL = join(dir, "journal");
    await cluster.apply(service("back"));
    await cluster.apply(deployment({ name: "back", env: { JOURNAL } }));
    await cluster.apply(
      deployment({ name: "front", env: { JOURNAL, BACKEND: "http://back.default.svc:80" } }),
    );
    await eventually("ready", () =>
      ["back", "front"].every((name) => statusOf(room, name).availableReplicas === 1),
    );
    await room.standalone.stop();
    const ends = started().filter(({ event }) => event !== "start") as unknown as {
      event: string;
      pod: string;
    }[];
    expect(ends.map(({ event, pod }) => `${pod.split("-")[0]} ${event}`)).toEqual([
      "front SIGTERM",
      "front exit",
      "back SIGTERM",
      "back exit",
    ]);
  });

  test("SIGKILL of naru up leaves nothing running", async () => {
    const { child } = await up();
    expect(alive().length).toBe(2);
    child.kill("SIGKILL");
    await eventually("all gone", () => alive().length === 0);
    expect(started().filter(({ event }) => event === "SIGTERM").length).toBe(2);
  });

  test("what outlives a killed naru up is ended by the next, which takes over its folder, ports and resources", async () => {
    // It ignores SIGTERM, and is stopped so that not even its guard acts.
    const { child, output } = await up({ STUBBORN: "1" });
    // Objects are written a moment after they change; what a SIGKILL inside that moment loses is decided again
    // from the resources' files, which this test has none of.
    await eventually("written", () =>
      readObjects(join(dir, ".naru")).some(({ kind }) => kind === "Deployment"),
    );
    const before = alive();
    const { socket } = JSON.parse(readFileSync(join(dir, ".naru/up.json"), "utf8"));
    for (const pid of before) process.kill(pid, "SIGSTOP");
    child.kill("SIGKILL");
    await eventually("dead", () => child.signalCode !== null);
    const room = await open();
    await eventually("reaped", () => before.every((pid) => !alive().includes(pid)));
    expect(room.lines.filter((line) => line.includes("left behind")).length).toBe(2);
    expect(existsSync(dirname(socket))).toBe(false);
    await eventually("ready again", () => statusOf(room, "web").availableReplicas === 2);
    expect(output()).toContain(`"localPort":${new URL(urlOf(room, "web")).port}`);
    for (const pod of podsOf(room, "web"))
      await room.standalone.cluster.delete({ ...pod, namespace: "default", name: pod.metadata.name });
    void room.standalone.stop();
    await room.standalone.stop();
    expect(alive()).toEqual([]);
  });

  test("without its state folder, which somebody removed, it still ends all it started", async () => {
    const { child, output } = await up();
    // Again where something was written into it meanwhile.
    await rm(join(dir, ".naru"), { recursive: true, maxRetries: 20, retryDelay: 10 });
    child.kill("SIGINT");
    await eventually("ended", () => child.exitCode !== null);
    expect(child.exitCode, output()).toBe(0);
    expect(alive()).toEqual([]);
  });

  test("two of them on one folder: the second is refused, and the first goes on", async () => {
    const { child } = await up();
    await expect(open()).rejects.toMatchObject({
      code: "AlreadyRunning",
      message: expect.stringContaining(String(child.pid)),
    });
    expect(alive().length).toBe(2);
    child.kill("SIGINT");
    await eventually("ended", () => child.exitCode === 0);
    expect(alive()).toEqual([]);
  });
});

describe("a second life", () => {
  test("keeps uid, generation, status, children and annotations, and forgets what was only true of processes", async () => {
    const first = await open();
    await first.write("a.yaml", resource("a", 1));
    const ref = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", namespace: "default", name: "a" };
    const was = await eventually("resource", () => first.standalone.cluster.get(ref));
    await first.standalone.cluster.updateStatus({ ...was, status: { observedGeneration: 1 } });
    await openStandalone(dir).annotate(ref, { "naru.dev/pause": "abc" });
    await first.standalone.cluster.apply(deployment({ name: "web" }));
    await eventually("ready", () => statusOf(first, "web").availableReplicas === 1);
    await first.standalone.stop();

    const second = await open();
    const is = second.standalone.cluster.get(ref);
    expect(is).toMatchObject({
      metadata: { uid: was.metadata.uid, generation: 1, annotations: { "naru.dev/pause": "abc" } },
      status: { observedGeneration: 1 },
    });
    expect(Number(is?.metadata.resourceVersion)).toBeGreaterThan(Number(was.metadata.resourceVersion));
    expect(statusOf(second, "web").availableReplicas ?? 0).toBe(0);
    await eventually("ready again", () => statusOf(second, "web").availableReplicas === 1);
  });

  test("has nothing of a resource whose file went away meanwhile", async () => {
    const first = await open();
    await first.write("a.yaml", resource("a", 1));
    const ref = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", namespace: "default", name: "a" };
    const owner = await eventually("resource", () => first.standalone.cluster.get(ref));
    const web = deployment({ name: "web" });
    web.metadata.ownerReferences = [
      { apiVersion: owner.apiVersion, kind: owner.kind, name: "a", uid: owner.metadata.uid ?? "" },
    ];
    await first.standalone.cluster.apply(web);
    await first.standalone.stop();
    await rm(join(dir, "a.yaml"));
    const second = await open();
    expect(second.standalone.cluster.get(ref)).toBeUndefined();
    expect(second.standalone.cluster.list({ apiVersion: "apps/v1", kind: "Deployment" })).toEqual([]);
  });

  test("a Service whose port somebody else took meanwhile answers on the next free one, and says so", async () => {
    const first = await open();
    await first.standalone.cluster.apply(service("web"));
    const port = await eventually("port", () => first.standalone.addresses()[0]?.localPort);
    await first.standalone.stop();
    const thief = net.createServer();
    await new Promise<void>((resolve) => {
      thief.listen(port, "127.0.0.1", resolve);
    });
    const second = await open();
    expect(second.standalone.addresses()[0]?.localPort).toBeGreaterThan(port);
    expect(second.lines.join("\n")).toMatch(new RegExp(`warn port ${port} of service web is taken`));
    thief.close();
  });
});

describe("another process", () => {
  test("sees pods and services, sets annotations, deletes, and reads logs as they come", async () => {
    const room = await open();
    await room.write("a.yaml", resource("a", 1));
    await room.standalone.cluster.apply(service("web"));
    await room.standalone.cluster.apply(deployment({ name: "web", env: { VERSION: "9" } }));
    await eventually("ready", () => statusOf(room, "web").availableReplicas === 1);
    const client = openStandalone(dir);
    expect(client.running).toBe(true);
    const [pod] = await client.list({ apiVersion: "v1", kind: "Pod" });
    expect(pod?.metadata.name).toMatch(/^web-/);
    expect((await client.info()).services).toMatchObject([{ service: "web", portName: "http", port: 80 }]);

    const ref = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", namespace: "default", name: "a" };
    expect((await client.annotate(ref, { one: "1", two: "2" })).metadata.annotations).toMatchObject({
      one: "1",
      two: "2",
    });
    const { annotations, ...rest } = (await client.annotate(ref, { one: null })).metadata;
    expect(annotations).toMatchObject({ two: "2" });
    expect(annotations).not.toHaveProperty("one");
    expect(rest.generation).toBe(1);
    await expect(client.annotate({ ...ref, name: "absent" }, { one: "1" })).rejects.toMatchObject({
      code: "NotFound",
    });
    await client.delete(ref);
    expect(room.standalone.cluster.get(ref)).toBeUndefined();

    const stop = new AbortController();
    const file = logFileOf(
      join(dir, ".naru"),
      { namespace: "default", name: pod?.metadata.name ?? "" },
      "server",
    );
    let log = "";
    for await (const chunk of followLog(file, 0, stop.signal)) {
      log += chunk;
      if (log.includes("\n")) stop.abort();
    }
    expect(log).toBe("serves 9\n");
  });

  test("reads what a naru up that ended has left, and is told what to do where that is not enough", async () => {
    const room = await open();
    await room.write("a.yaml", resource("a", 1));
    const ref = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", namespace: "default", name: "a" };
    await eventually("resource", () => room.standalone.cluster.get(ref));
    await room.standalone.stop();
    const client = openStandalone(dir);
    expect(client.running).toBe(false);
    expect(
      (await client.list({ apiVersion: ref.apiVersion, kind: ref.kind })).map(
        ({ metadata }) => metadata.name,
      ),
    ).toEqual(["a"]);
    await expect(client.annotate(ref, { one: "1" })).rejects.toMatchObject({
      code: "NotRunning",
      remedy: expect.stringContaining("naru up"),
    });
    expect(readFileSync(join(dir, ".naru/status/modelserving-a.yaml"), "utf8")).toContain(
      "kind: ModelServing",
    );
  });
});
