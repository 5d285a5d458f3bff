import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { RouterReport } from "../../../lib/config/router.ts";
import { LATENCY_BOUNDS_MS } from "../../../lib/telemetry/histogram.ts";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { observe } from "../../../operator/model-serving/observe.ts";
import { httpRouterClient } from "../../../operator/model-serving/router-client.ts";
import type { SentConfig } from "../../../operator/model-serving/router-config.ts";
import { issuedOf } from "../../../operator/model-serving/router-sequence.ts";
import { madeBy } from "../../support/made-by.ts";

const signer = { publicKeys: ["A".repeat(43)], sign: () => "signed" };
const client = httpRouterClient(signer);
const owner = { namespace: "default", name: "digits", uid: "u1" };
const stable = {
  revision: "r1",
  weightPercent: 100,
  backend: { http: "http://digits-stable.default.svc:80" },
};
const config: SentConfig = { generation: "g2", sequence: 2, model: "digits", stable };

const report = (generation: string): RouterReport => ({
  generation,
  ready: true,
  latencyBounds: [...LATENCY_BOUNDS_MS],
  tracks: [],
  held: 0,
  inFlight: 0,
  idleMilliseconds: null,
});

const track = {
  revision: "r1",
  requests: 3,
  errors: 0,
  latencyCounts: [3],
  mirrored: 0,
  diverged: 0,
  mirrorErrors: 0,
};

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

/** The port of a server on the loopback address. */
async function listen(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

/** A port that nobody listens on any more. */
async function gone(): Promise<number> {
  const port = await listen(() => undefined);
  const server = servers.pop();
  await new Promise((closed) => server?.close(closed));
  return port;
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const long = "x".repeat(1024 * 1024 + 1);
let redirectFollowed = false;

/** What is wrong with a router, as a server that behaves so. */
const broken: [string, () => Promise<number>, string][] = [
  ["hangs before its answer", () => listen(() => undefined), "RouterUnreachable"],
  [
    "hangs in the middle of its answer",
    () => listen((_, response) => void response.write('{"generation":')),
    "RouterUnreachable",
  ],
  [
    "ends in the middle of its answer",
    () =>
      listen((_, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write('{"generation":', () => response.destroy());
      }),
    "RouterUnreachable",
  ],
  ["is gone", gone, "RouterUnreachable"],
  [
    "sends the operator elsewhere",
    async () => {
      const elsewhere = await listen((_, response) => {
        redirectFollowed = true;
        response.end(JSON.stringify(report("g2")));
      });
      const location = `http://127.0.0.1:${elsewhere}/naru/status`;
      return listen((_, response) => response.writeHead(307, { location }).end());
    },
    "RouterUnreachable",
  ],
  ["answers what is no JSON", () => listen((_, response) => response.end("<html>")), "RouterAnswerInvalid"],
  [
    "answers another shape",
    () => listen((_, response) => response.end('{"ok":true}')),
    "RouterAnswerInvalid",
  ],
  ["answers nothing", () => listen((_, response) => response.end()), "RouterAnswerInvalid"],
  [
    "answers an error",
    () => listen((_, response) => response.writeHead(500).end("no")),
    "RouterAnswerInvalid",
  ],
  ["answers without end", () => listen((_, response) => response.end(long)), "RouterAnswerInvalid"],
];

describe("asked for its status, a router that", () => {
  test.each(broken)("%s is told apart by its code", async (what, start, code) => {
    const port = await start();
    const signal = AbortSignal.timeout(what.startsWith("hangs") ? 100 : 10_000);
    await expect(client.status(`127.0.0.1:${port}`, signal)).rejects.toMatchObject({ code });
    expect(redirectFollowed).toBe(false);
  });

  test("is of a later release, and says more than this operator knows, is believed all the same", async () => {
    const later = { ...report("g1"), tracks: [{ ...track, heldLongest: 3 }], connections: 4 };
    const port = await listen((_, response) => response.end(JSON.stringify(later)));
    const seen = await client.status(`127.0.0.1:${port}`, AbortSignal.timeout(10_000));
    expect(seen).toEqual({ ...report("g1"), tracks: [track] });
  });

  test("answers is believed", async () => {
    const port = await listen((_, response) => response.end(JSON.stringify(report("g1"))));
    const signal = AbortSignal.timeout(10_000);
    expect(await client.status(`127.0.0.1:${port}`, signal)).toEqual(report("g1"));
  });
});

/** A router's pod at a port of the loopback address; `made` says by whom. */
const podAt = (port: number, made = madeBy("digits-router", { "naru.dev/role": "router" })): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `router-${port}`, namespace: "default", ...made },
  spec: { containers: [{ name: "router", ports: [{ name: "admin", containerPort: port }] }] },
  status: {
    podIP: "127.0.0.1",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
  },
});

/** What is observed of routers at these ports, where `config` is what they are to have. */
const observed = async (ports: readonly number[]) =>
  (await observedOf(ports.map((port) => podAt(port)))).routers;

async function observedOf(pods: readonly KubeObject[]) {
  const cluster: Pick<Cluster, "list" | "serves" | "hides"> = {
    list: () => pods,
    serves: () => true,
    hides: () => false,
  };
  const resource: KubeObject = {
    apiVersion: "naru.dev/v1alpha1",
    kind: "ModelServing",
    metadata: owner,
    status: { routerConfig: issuedOf(config) },
  };
  const map: KubeObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "digits-router", namespace: "default" },
    data: { "router.json": JSON.stringify(config) },
  };
  const deployment: KubeObject = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "digits-router", namespace: "default", uid: "u2" },
  };
  const environment = {
    settings: { runtimeImage: "naru/runtime:1", namespace: "naru-system" },
    routerKeys: signer.publicKeys,
    routers: client,
  };
  const { signal } = new AbortController();
  return observe(resource, cluster as Cluster, signal, [map, deployment], environment);
}

test("a pod that was evicted is no pod any more: its address is not asked, which may be another's by now", async () => {
  let asked = 0;
  const port = await listen((_request, response) => {
    asked += 1;
    response.end(JSON.stringify(report("g2")));
  });
  const evicted = podAt(port);
  evicted.status = { ...(evicted.status as object), phase: "Failed", reason: "Evicted" };
  const { pods, routers } = await observedOf([evicted]);
  expect({ pods, routers, asked }).toEqual({ pods: [], routers: [], asked: 0 });
});

describe("observed together with others, a router that", () => {
  test.each(broken)("%s has no report, and keeps nobody from the others' reports", async (_, start) => {
    const well = await listen((_request, response) => response.end(JSON.stringify(report("g2"))));
    const routers = await observed([await start(), well]);
    expect(routers.map(({ report: seen }) => seen?.generation)).toEqual([undefined, "g2"]);
    expect(routers.map(({ ready }) => ready)).toEqual([true, true]);
  });

  test("has another configuration is told the one that was decided, signed, and asked again", async () => {
    let generation = "g1";
    const pushes: unknown[] = [];
    const port = await listen(async (request, response) => {
      if (request.method === "PUT") {
        expect(request.headers).toMatchObject({ "naru-signature": "signed" });
        pushes.push(JSON.parse(await read(request)));
        generation = "g2";
      }
      response.end(JSON.stringify(report(generation)));
    });
    const [router] = await observed([port]);
    expect(pushes).toEqual([{ owner, config }]);
    expect(router).toMatchObject({ report: { generation: "g2" }, refusal: undefined });
    await observed([port]);
    expect(pushes).toHaveLength(1);
  });

  test("refuses the configuration says why, in words that can't fill status", async () => {
    const port = await listen((request, response) => {
      if (request.method === "GET") return void response.end(JSON.stringify(report("g1")));
      response.writeHead(403, { "naru-error-code": "PushUnsigned" });
      response.end(JSON.stringify({ error: long.slice(0, 4096) }));
    });
    const [router] = await observed([port]);
    expect(router).toMatchObject({ report: { generation: "g1" }, refusal: { code: "PushUnsigned" } });
    expect(router?.refusal?.message).toHaveLength(512);
  });
});

describe("a pod that bears the labels of a router", () => {
  const { labels = {}, ownerReferences = [] } = madeBy("digits-router", { "naru.dev/role": "router" });
  const [owner] = ownerReferences;
  if (owner === undefined) throw new Error("no owner");
  const deployment = { ...owner, kind: "Deployment", name: "digits-router" };
  const strangers: [string, Parameters<typeof podAt>[1]][] = [
    ["was made by nobody", { labels }],
    ["was made for another Deployment", madeBy("other-router", labels)],
    [
      "was made by a ReplicaSet of no Deployment",
      { labels, ownerReferences: [{ ...owner, name: "digits-router" }] },
    ],
    [
      "has another hash than its ReplicaSet",
      { labels: { ...labels, "pod-template-hash": "x" }, ownerReferences },
    ],
    ["has no hash", { labels: { "naru.dev/role": "router" }, ownerReferences }],
    [
      "is controlled by a kind of another group",
      { labels, ownerReferences: [{ ...owner, apiVersion: "a/v1" }] },
    ],
    ["is owned but not controlled", { labels, ownerReferences: [{ ...owner, controller: false }] }],
    [
      "was made by another Deployment of that name",
      { labels, ownerReferences: [{ ...deployment, uid: "u3" }] },
    ],
  ];

  test.each(strangers)("and %s is not asked, and counts for nothing", async (_, made) => {
    let asked = 0;
    const port = await listen((_request, response) => {
      asked += 1;
      response.end(JSON.stringify(report("g1")));
    });
    const seen = await observedOf([podAt(port, made)]);
    expect(seen.routers).toEqual([]);
    expect(seen.pods).toEqual([]);
    expect(asked).toBe(0);
  });

  test("is asked where its Deployment made it, with a ReplicaSet between or without", async () => {
    const port = await listen((_request, response) => response.end(JSON.stringify(report("g2"))));
    const direct = { labels, ownerReferences: [{ ...deployment, uid: "u2" }] };
    const seen = await observedOf([podAt(port), podAt(port, direct)]);
    expect(seen.routers.map(({ report: said }) => said?.generation)).toEqual(["g2", "g2"]);
    expect(seen.pods).toHaveLength(2);
  });
});
