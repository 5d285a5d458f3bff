import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcClient, inferGrpc } from "../integration/e2e/grpc-client.ts";
import { accuracyOf, bodyOf, heldOut, infer } from "../integration/e2e/stand.ts";
import { eventually } from "../support/eventually.ts";
import { missingCluster, testCluster } from "./support/cluster.ts";
import { leader } from "./support/disruptions.ts";
import { RUNTIME_IMAGE } from "./support/images.ts";
import { helmOn, OPERATOR_NAMESPACE, RELEASE } from "./support/install.ts";
import type { Namespace } from "./support/kube.ts";
import { storedModel } from "./support/model-store.ts";
import { newNamespace } from "./support/namespaces.ts";
import { openServing, type Serving } from "./support/serving.ts";
import { conditionOf } from "./support/timeline.ts";

const MODEL_IMAGE = process.env.NARU_E2E_MODEL_IMAGE;
const IMAGES = heldOut.slice(0, 100);
/** Of the committed versions on the held-out images, by the README. */
const LEAST_ACCURACY = 0.9;

/** Nothing stands before these pods that would have to hear of their leaving. */
const QUICK_END = { termination: { preStopSeconds: 2, drainSeconds: 2 } };

/** A server that knows nothing of Naru: it ends at once when it is told to, as most do. */
const FOREIGN_SERVER = `
require("node:http").createServer((request, response) => {
  if (request.url === "/health") return response.end("ok");
  let body = "";
  request.on("data", (chunk) => { body += chunk; });
  request.on("end", () => response.end(JSON.stringify({ pod: process.env.HOSTNAME, got: body })));
}).listen(9000);
`;

describe.skipIf(missingCluster() !== undefined)("serving on a cluster", () => {
  let namespace: Namespace;
  let baseline: Namespace;
  const opened: Serving[] = [];
  beforeAll(async () => {
    namespace = await newNamespace("serving");
    baseline = await newNamespace("foreign", "baseline");
  });
  afterAll(async () => {
    for (const serving of opened) await serving.stop();
    await Promise.all([namespace.remove(), baseline.remove()]);
  });

  async function served(name: string, spec: object, where = namespace): Promise<Serving> {
    const serving = openServing(where, name);
    opened.push(serving);
    await serving.apply({ ...QUICK_END, ...spec });
    const address = await serving.address("http");
    // A node's proxy takes up to a second to know a Service that is new.
    await eventually(
      "the Service to be connected",
      async () => (await fetch(`http://${address}/`)).status > 0,
    );
    return serving;
  }

  async function answersDigits(serving: Serving): Promise<void> {
    const rest = await infer(await serving.address("http"), serving.name, bodyOf(IMAGES));
    const { outputs } = (await rest.json()) as { outputs: { name: string; data: number[] }[] };
    const scores = outputs.find((output) => output.name === "scores")?.data ?? [];
    expect(accuracyOf(scores, IMAGES)).toBeGreaterThan(LEAST_ACCURACY);

    const client = grpcClient(await serving.address("grpc"));
    try {
      const answer = await inferGrpc(client, serving.name, IMAGES);
      const tensor = answer.outputs.find((output) => output.name === "scores");
      expect(accuracyOf(tensor?.data as ArrayLike<number>, IMAGES)).toBeGreaterThan(LEAST_ACCURACY);
    } finally {
      client.close();
    }
  }

  it("passes the chart's own test", async () => {
    expect(await helmOn(testCluster(), ["test", RELEASE, "--timeout", "60s"])).toMatch(/Phase:\s+Succeeded/);
  });

  it("has two operators, of which one leads", async () => {
    // The lease of an operator that was killed runs out by itself.
    await eventually(
      "one of two to lead",
      async () => {
        const pods = await namespace.run([
          ...[
            "get",
            "pods",
            "--namespace",
            OPERATOR_NAMESPACE,
            "--output",
            "jsonpath={.items[*].metadata.name}",
          ],
          ...["--selector", `app.kubernetes.io/instance=${RELEASE}`],
        ]);
        const names = pods.split(" ");
        return names.length === 2 && names.includes(await leader(namespace));
      },
      60_000,
    );
  });

  it("fetches a model by its address and answers REST and gRPC", async () => {
    const serving = await served("by-uri", { model: storedModel("v2"), replicas: 2 });
    await answersDigits(serving);
    expect(serving.lies).toEqual([]);
  });

  it.skipIf(MODEL_IMAGE === undefined)("serves a model that is in an image", async () => {
    const serving = await served("by-image", { model: { image: MODEL_IMAGE }, replicas: 1 });
    await answersDigits(serving);
    expect(serving.lies).toEqual([]);
  });

  it("carries a server that is not ours", async () => {
    const container = {
      image: RUNTIME_IMAGE,
      command: ["node", "--eval", FOREIGN_SERVER],
      httpPort: 9000,
      readiness: { httpPath: "/health" },
    };
    const serving = await served("by-container", { container, replicas: 2 }, baseline);
    const url = `http://${await serving.address("http")}/anything`;
    const pods = new Set<string>();
    await eventually("an answer of each pod", async () => {
      const response = await fetch(url, { method: "POST", body: "hello", headers: { connection: "close" } });
      const answer = (await response.json()) as { pod: string; got: string };
      expect(answer.got).toBe("hello");
      return pods.add(answer.pod).size === 2;
    });
    expect(serving.lies).toEqual([]);
  });

  it("says why a pod is not admitted", async () => {
    const serving = openServing(namespace, "refused");
    opened.push(serving);
    // The namespace is held to the restricted standard, which no user's image is known to pass.
    const container = { image: RUNTIME_IMAGE, httpPort: 9000, readiness: { httpPath: "/health" } };
    const said = await serving.apply(
      { ...QUICK_END, container },
      ({ conditions }) =>
        conditions?.some(({ type, message }) => type === "Ready" && message.includes("PodSecurity")) === true,
    );
    expect(conditionOf(said, "Ready")).toBe("False");
    expect(serving.lies).toEqual([]);
  });

  it("says in its columns what serves, since when, and where", async () => {
    const [heads, row] = (await namespace.run(["get", "msv", "by-uri"])).trim().split("\n");
    expect(heads?.split(/\s+/)).toEqual(["NAME", "READY", "MODEL", "REVISION", "CANARY", "URL", "AGE"]);
    expect(row).toMatch(
      new RegExp(`^by-uri +True +[0-9a-f]{8} +\\w+ +http://by-uri\\.${namespace.name}\\.svc/v2 +\\d+[sm]`),
    );
  });

  it("explains every field to kubectl", async () => {
    expect(await namespace.run(["explain", "modelserving.spec.canary.steps"])).toContain("weightPercent");
  });

  it("follows kubectl scale", async () => {
    const serving = opened.find(({ name }) => name === "by-uri");
    if (serving === undefined) throw new Error("by-uri is not served");
    await namespace.run(["scale", "modelserving/by-uri", "--replicas", "1"]);
    await serving.settled("one replica", (status) => status.replicas === 1 && status.readyReplicas === 1);
    await eventually("one endpoint", () => serving.endpoints().length === 1, 60_000);
    expect(serving.lies).toEqual([]);
  });
});
