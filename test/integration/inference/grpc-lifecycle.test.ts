import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { inferenceConfig } from "../../../lib/config/inference.ts";
import { encodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import {
  decodeModelInferResponse,
  decodeModelStreamInferResponse,
} from "../../../lib/grpc/infer-response.ts";
import { BodyBudget, bodyBudgetBytes } from "../../../lib/http/body-budget.ts";
import { createLogger } from "../../../lib/telemetry/logger.ts";
import { createGrpc } from "../../../runtimes/inference/grpc-server.ts";
import { eventually } from "../../support/eventually.ts";
import { HealthClient, InferenceClient } from "../../support/inference-proto.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { identityModel } from "../../support/onnx-models.ts";

/** What a gRPC client in another process sees of ages and drains: no error. The clients are @grpc/grpc-js'. */

const service = "/inference.GRPCInferenceService";
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function serve(http: Record<string, number>): Promise<TestServer> {
  const served = await serveModels(
    { x: { bytes: identityModel("FP32"), settings: { execution: "Inline" } } },
    { http },
  );
  open.push(() => served[Symbol.asyncDispose]());
  return served;
}

/** `round_robin` over several servers, as a client of a headless Service has it. */
function clientOf(...ports: number[]): Client {
  const addresses = ports.map((port) => `127.0.0.1:${port}`).join(",");
  const client = new InferenceClient(`ipv4:${addresses}`, credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    // Channels with equal options share connections.
    "grpc.use_local_subchannel_pool": 1,
  });
  open.push(() => client.close());
  return client;
}

const same = (bytes: Buffer) => bytes;

function request(value: number, id = ""): Buffer {
  const data = new Float32Array(4).fill(value);
  const inputs = [{ name: "x", datatype: "FP32", shape: [1, 4], data } as const];
  return encodeModelInferRequest({
    modelName: "x",
    modelVersion: "",
    request: { id, inputs, outputs: [], parameters: {} },
  });
}

/** `callers` that ask one request after another until `stop`; counts answers, and keeps what went wrong. */
function load(clients: readonly Client[], callers: number) {
  const errors: unknown[] = [];
  const state = { answered: 0, stopped: false };
  const callOnce = (client: Client, value: number) =>
    new Promise<void>((resolve) => {
      client.makeUnaryRequest(`${service}/ModelInfer`, same, same, request(value), (error, answer) => {
        const got = answer === undefined ? undefined : decodeModelInferResponse(answer).outputs[0]?.data[0];
        if (error !== null || got !== value) errors.push(error ?? got);
        state.answered += 1;
        resolve();
      });
    });
  const running = Promise.all(
    clients.flatMap((client, index) =>
      Array.from({ length: callers }, async (_, caller) => {
        for (let turn = 0; !state.stopped; turn += 1) {
          await callOnce(client, index * 10_000 + caller * 100 + (turn % 100));
          // A gap now and then, so that connections are met idle as well.
          if (turn % 20 === 19) await delay(5);
        }
      }),
    ),
  );
  return {
    errors,
    get answered() {
      return state.answered;
    },
    async stop() {
      state.stopped = true;
      await running;
    },
  };
}

test("connections end at their age under load, and no call is lost", async () => {
  const served = await serve({});
  const config = inferenceConfig.parse({
    models: [{ name: "x", path: "x.onnx" }],
    http: { connectionMaxAgeSeconds: 1, connectionMaxAgeJitterPercent: 50, connectionMaxAgeGraceSeconds: 5 },
  });
  const { server, lifecycle } = createGrpc({
    bodies: new BodyBudget(bodyBudgetBytes(config)),
    repository: served.server.repository,
    config,
    server: { name: "naru", version: "0", extensions: [] },
    isReady: () => true,
    log: createLogger("test", { level: "silent" }),
  });
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(() => lifecycle.stop());
  const { port } = server.address() as AddressInfo;
  const clients = [clientOf(port), clientOf(port), clientOf(port)];
  const calls = load(clients, 6);
  await eventually("each connection replaced twice and more", () => connections >= 9, 20_000);
  await calls.stop();
  expect(calls.errors).toEqual([]);
  expect(calls.answered).toBeGreaterThan(100);
});

test("a server that drains under load loses no call, and its clients go to the other", async () => {
  const [leaving, staying] = [await serve({ drainSeconds: 2 }), await serve({})];
  const ports = [leaving.server.ports.grpc, staying.server.ports.grpc];
  const calls = load([clientOf(...ports), clientOf(...ports)], 8);
  await eventually("calls on both", () => calls.answered > 500);
  const before = countOf(staying);
  await leaving.server.drain();
  const drained = calls.answered;
  await eventually("calls after the drain", () => calls.answered > drained + 500);
  await calls.stop();
  expect(calls.errors).toEqual([]);
  expect(countOf(staying)).toBeGreaterThan(before);
  expect(countOf(leaving)).toBeGreaterThan(0);
});

function countOf(served: TestServer): number {
  return served.server.repository.statistics("x")[0]?.inference_count ?? 0;
}

test("while it drains, a server says NOT_SERVING, and watchers are told and let go", async () => {
  const served = await serve({ drainSeconds: 10 });
  const health = new HealthClient(`127.0.0.1:${served.server.ports.grpc}`, credentials.createInsecure());
  open.push(() => health.close());
  const watch = health.Watch?.({ service: "" });
  const seen: number[] = [];
  const ended = new Promise<number>((resolve) => {
    watch.on("data", ({ status: each }: { status: number }) => seen.push(each));
    watch.on("status", ({ code }: { code: number }) => resolve(code));
  });
  await eventually("SERVING", () => seen.length === 1);
  const drained = served.server.drain();
  expect(await ended).toBe(status.OK);
  expect(seen).toEqual([1, 2]);
  await drained;
});

test("an open stream is served through the drain, then ended as UNAVAILABLE with every answer sent", async () => {
  const served = await serve({ drainSeconds: 1 });
  const client = clientOf(served.server.ports.grpc);
  const stream = client.makeBidiStreamRequest(`${service}/ModelStreamInfer`, same, same, new Metadata());
  const ids: string[] = [];
  stream.on("data", (bytes: Buffer) => {
    const answer = decodeModelStreamInferResponse(bytes);
    if ("response" in answer) ids.push(answer.response.id ?? "");
  });
  const ended = new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  stream.write(request(1, "before"));
  await eventually("an answer", () => ids.length === 1);
  const drained = served.server.drain();
  stream.write(request(2, "during"));
  await eventually("an answer while it drains", () => ids.length === 2);
  expect(await ended).toMatchObject({
    code: status.UNAVAILABLE,
    details: expect.stringContaining("going away"),
  });
  expect(ids).toEqual(["before", "during"]);
  await drained;
});
