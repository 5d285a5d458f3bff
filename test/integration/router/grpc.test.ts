import { type Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { eventually } from "../../support/eventually.ts";
import { HealthClient, InferenceClient } from "../../support/inference-proto.ts";
import { type GrpcTestServer, startGrpcServer } from "./grpc-server.ts";
import { router, server } from "./harness.ts";
import { doubling, type TestModel } from "./v2-server.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function grpcServer(...args: Parameters<typeof startGrpcServer>): Promise<GrpcTestServer> {
  const started = await startGrpcServer(...args);
  closers.push(() => started.close());
  return started;
}

interface Answer {
  raw_output_contents: Buffer[];
}
type Unary = (
  request: object,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, answer: Answer) => void,
) => { cancel(): void };

function client(port: number): Client & Record<string, Unary> {
  const made = new InferenceClient(`127.0.0.1:${port}`, credentials.createInsecure());
  closers.push(() => made.close());
  return made as unknown as Client & Record<string, Unary>;
}

function message(...values: number[]) {
  return messageOf(values);
}

function messageOf(values: readonly number[]) {
  return {
    model_name: "digits",
    inputs: [{ name: "x", datatype: "FP32", shape: [values.length] }],
    raw_input_contents: [Buffer.from(Float32Array.from(values).buffer)],
  };
}

function call(
  stub: Record<string, Unary>,
  request: object = message(1, 2),
  options: { deadline?: number; metadata?: Metadata } = {},
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    stub.ModelInfer?.(request, options.metadata ?? new Metadata(), options, (error, answer) => {
      if (error !== null) reject(error);
      else resolve(floats(answer.raw_output_contents[0]));
    });
  });
}

function floats(raw: Buffer | undefined): number[] {
  if (raw === undefined) return [];
  return Array.from({ length: raw.length / 4 }, (_, i) => raw.readFloatLE(i * 4));
}

/** The HTTP address is only what the gate probes; gRPC is what is used. */
const track = (revision: string, weightPercent: number, grpc: string, http = "http://127.0.0.1:9") => ({
  revision,
  weightPercent,
  backend: { http, grpc },
});

describe("gRPC through the router", () => {
  it("splits unary calls by weight, exactly, and counts each revision apart", async () => {
    const [a, b] = [await grpcServer(doubling), await grpcServer(doubling)];
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 80, a.url),
      canary: track("r2", 20, b.url),
    });
    const stub = client(running.ports.grpc);
    for (let n = 0; n < 50; n += 1) expect(await call(stub, message(n))).toEqual([n * 2]);
    expect([a.calls.length, b.calls.length]).toEqual([40, 10]);
    expect((await report()).tracks.map(({ requests, errors }) => [requests, errors])).toEqual([
      [40, 0],
      [10, 0],
    ]);
  });

  it("passes a bidirectional stream's messages on as they come", async () => {
    const backend = await grpcServer(doubling);
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
    });
    const stub = client(running.ports.grpc) as unknown as {
      ModelStreamInfer(): NodeJS.ReadWriteStream & { write(message: object): boolean };
    };
    const stream = stub.ModelStreamInfer();
    const answers: number[][] = [];
    stream.on("data", (answer: { infer_response: Answer }) =>
      answers.push(floats(answer.infer_response.raw_output_contents[0])),
    );
    for (let n = 1; n <= 3; n += 1) {
      stream.write(message(n));
      // Each is answered before the next is sent: nothing waits for the stream's end.
      await eventually(`answer ${n}`, () => answers.length === n);
    }
    const ended = new Promise((resolve) => stream.on("end", resolve));
    stream.end();
    await ended;
    expect(answers).toEqual([[2], [4], [6]]);
    await eventually("counted", async () => (await report()).tracks[0]?.requests === 1);
  });

  it("passes messages of megabytes on, unchanged", async () => {
    const backend = await grpcServer(doubling);
    const { running } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
    });
    const values = Array.from({ length: 600_000 }, (_, i) => i);
    const answer = await call(client(running.ports.grpc), messageOf(values));
    expect(answer).toHaveLength(values.length);
    expect(answer.every((value, i) => value === i * 2)).toBe(true);
  });

  it("passes statuses on, counting the server's own failures and not the client's mistakes", async () => {
    const backend = await grpcServer(doubling, ({ headers }) => {
      const status = Number(headers["x-fail"] ?? 0);
      if (status > 0)
        throw new NaruError({ code: "Test", message: "as asked: 100 % ü", remedy: "-", status });
    });
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
    });
    const stub = client(running.ports.grpc);
    for (const [http, grpc] of [
      [400, 3],
      [404, 5],
      [500, 13],
      [503, 14],
      [504, 4],
    ]) {
      const metadata = new Metadata();
      metadata.set("x-fail", String(http));
      await expect(call(stub, message(1), { metadata })).rejects.toMatchObject({
        code: grpc,
        details: "as asked: 100 % ü",
      });
    }
    expect((await report()).tracks[0]).toMatchObject({ requests: 5, errors: 3 });
  });

  it("ends a call at its deadline, cancelling the backend's work, and tells the backend how long it has", async () => {
    const backend = await grpcServer(doubling, () => new Promise(() => undefined));
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
      requestTimeoutMilliseconds: 100,
    });
    await expect(call(client(running.ports.grpc))).rejects.toMatchObject({ code: 4 });
    expect(backend.calls[0]?.headers["grpc-timeout"]).toMatch(/^\d{1,8}u$/);
    await eventually("cancelled", () => backend.calls[0]?.signal.aborted);
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 1 });
  });

  it("cancels the backend's work when the client cancels, and holds it against nobody", async () => {
    const backend = await grpcServer(doubling, () => new Promise(() => undefined));
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
    });
    const stub = client(running.ports.grpc);
    const pending = stub.ModelInfer?.(message(1), new Metadata(), {}, () => undefined);
    await eventually("the backend has it", () => backend.calls.length === 1);
    pending?.cancel();
    await eventually("cancelled", () => backend.calls[0]?.signal.aborted);
    await eventually("ended", async () => (await report()).inFlight === 0);
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 0 });
  });

  it("loses no call when backends drain and others take their place", async () => {
    let backend = await grpcServer(doubling);
    const config = (generation: string, url: string) => ({
      generation,
      model: "digits",
      stable: track("r1", 100, url),
    });
    const { running, push } = await router(config("g0", backend.url));
    const stub = client(running.ports.grpc);
    let going = true;
    let answered = 0;
    const lost: string[] = [];
    const load = Array.from({ length: 8 }, async () => {
      while (going) {
        await call(stub).then(
          (values) => {
            if (values.join() === "2,4") answered += 1;
            else lost.push("wrong");
          },
          (error: Error) => lost.push(error.message),
        );
      }
    });
    for (let n = 1; n <= 5; n += 1) {
      const next = await grpcServer(doubling);
      const before = answered;
      await push(config(`g${n}`, next.url));
      const drained = backend.lifecycle.drain({ quietMilliseconds: 10 });
      await eventually("calls go on", () => answered > before + 50);
      await drained;
      backend = next;
    }
    going = false;
    await Promise.all(load);
    expect(lost).toEqual([]);
  });

  it("loses no call when the backend sends GOAWAY time and again on its own address", async () => {
    // Connections as old as this server lets them become: GOAWAY arrives in the middle of load.
    const backend = await grpcServer(doubling, undefined, {
      connectionMaxAgeSeconds: 1,
      connectionMaxAgeJitterPercent: 50,
    });
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, backend.url),
    });
    const stubs = [client(running.ports.grpc), client(running.ports.grpc)];
    const lost: string[] = [];
    const until = performance.now() + 2500;
    await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        while (performance.now() < until) {
          await call(stubs[n % 2] ?? {}).catch((error: Error) => lost.push(error.message));
        }
      }),
    );
    expect(lost).toEqual([]);
    expect((await report()).tracks[0]).toMatchObject({ errors: 0 });
  });

  it("holds calls until a backend is ready", async () => {
    const [probe, placeholder] = [await server(), await grpcServer(doubling)];
    probe.close();
    placeholder.close();
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, placeholder.url, probe.url),
      hold: { maxRequests: 10, seconds: 30 },
    });
    const waiting = call(client(running.ports.grpc), message(3));
    await eventually("held", async () => (await report()).held === 1);
    await grpcServer(doubling, undefined, {}, placeholder.port);
    await server({ port: probe.port });
    expect(await waiting).toEqual([6]);
  });

  it("says UNAVAILABLE when nothing listens, and UNIMPLEMENTED where a revision has no gRPC", async () => {
    const gone = await grpcServer(doubling);
    gone.close();
    const { running, push } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, gone.url),
    });
    const stub = client(running.ports.grpc);
    await expect(call(stub)).rejects.toMatchObject({ code: 14 });
    await push({
      generation: "g2",
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, backend: { http: gone.url } },
    });
    await expect(call(stub)).rejects.toMatchObject({ code: 12 });
  });

  it("mirrors unary calls", async () => {
    const wrong: TestModel = {
      ...doubling,
      infer: ({ inputs }) => {
        const x = inputs[0]?.data as Float32Array;
        return [{ name: "y", datatype: "FP32", shape: [x.length], data: x.map((v) => (v < 3 ? v * 2 : 0)) }];
      },
    };
    const [a, b] = [await grpcServer(doubling), await grpcServer(wrong)];
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: track("r1", 100, a.url),
      canary: track("r2", 0, b.url),
      mirror: { percent: 100, compare: "Values" },
    });
    const stub = client(running.ports.grpc);
    for (let n = 0; n < 6; n += 1) expect(await call(stub, message(n))).toEqual([n * 2]);
    await eventually("compared", async () => (await report()).tracks[1]?.mirrored === 6);
    expect((await report()).tracks[1]).toMatchObject({ diverged: 3, mirrorErrors: 0, requests: 0 });
  });

  it("answers from a graph, and for it: inference, stream, metadata, health", async () => {
    const nodes = await server({ models: { double: doubling } });
    const node = (name: string) => ({ name, model: "double", backend: { http: nodes.url } });
    const { running, report } = await router({
      generation: "g1",
      model: "digits",
      stable: {
        revision: "r1",
        weightPercent: 100,
        graph: {
          entry: "first",
          nodes: [node("first"), node("second")],
          edges: [{ from: "first", to: "second", tensors: [{ from: "y", to: "x" }] }],
        },
      },
    });
    await eventually("ready", async () => (await report()).ready);
    const stub = client(running.ports.grpc);
    expect(await call(stub, message(1, 2))).toEqual([4, 8]);
    await expect(call(stub, { ...message(1), model_name: "other" })).rejects.toMatchObject({ code: 5 });
    const ask = (method: string, request: object) =>
      new Promise((resolve, reject) => {
        stub[method]?.(request, new Metadata(), {}, (error, answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      });
    expect(await ask("ModelMetadata", { name: "digits" })).toMatchObject({
      inputs: [{ name: "x", datatype: "FP32", shape: [-1] }],
      outputs: [{ name: "y" }],
    });
    expect(await ask("ModelReady", { name: "digits" })).toMatchObject({ ready: true });
    expect(await ask("ModelConfig", { name: "digits" })).toMatchObject({
      config: { input: [{ data_type: 11 }] },
    });
    const health = new HealthClient(`127.0.0.1:${running.ports.grpc}`, credentials.createInsecure());
    closers.push(() => health.close());
    const check = (service: string) =>
      new Promise((resolve, reject) => {
        (health as unknown as Record<string, Unary>).Check?.(
          { service },
          new Metadata(),
          {},
          (error, answer) => (error === null ? resolve(answer) : reject(error)),
        );
      });
    expect(await check("")).toMatchObject({ status: 1 });
    expect((await report()).tracks[0]).toMatchObject({ requests: 2, errors: 0 });

    // Nothing is answered for another model, version or service: a client that pins one must hear that it isn't there.
    await expect(check("another.Service")).rejects.toMatchObject({ code: 5 });
    const other = { name: "other" };
    const version = { name: "digits", version: "7" };
    await expect(call(stub, { ...message(1), model_version: "7" })).rejects.toMatchObject({ code: 5 });
    expect(await call(stub, { ...message(1), model_version: "1" })).toEqual([4]);
    for (const asked of [other, version]) {
      await expect(ask("ModelMetadata", asked)).rejects.toMatchObject({ code: 5 });
      await expect(ask("ModelConfig", asked)).rejects.toMatchObject({ code: 5 });
      await expect(ask("ModelStatistics", asked)).rejects.toMatchObject({ code: 5 });
      expect(await ask("ModelReady", asked)).toMatchObject({ ready: false });
    }
    expect(await ask("ModelStatistics", {})).toMatchObject({ model_stats: [{ name: "digits" }] });
  });
});
