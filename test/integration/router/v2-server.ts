import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { httpConfig } from "../../../lib/config/inference.ts";
import { manageHttp1 } from "../../../lib/http/http1-lifecycle.ts";
import type { ServerLifecycle } from "../../../lib/http/lifecycle.ts";
import { httpServerOptions } from "../../../lib/http/server-options.ts";
import { decodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { encodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { InferRequest, Tensor, TensorMetadata } from "../../../lib/v2/types.ts";

/** A model of a small V2 server: what it declares, and what it answers. */
export interface TestModel {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  infer(request: InferRequest): readonly Tensor[] | Promise<readonly Tensor[]>;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface V2Server {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  readonly lifecycle: ServerLifecycle;
  readonly seen: Seen[];
  /** Requests that came and were not answered; a client's abort ends one, too. */
  open(): number;
  close(): void;
}

export interface V2ServerOptions {
  readonly models?: Readonly<Record<string, TestModel>>;
  readonly port?: number;
  /** Takes a request over, if it answers true. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;
}

/** Doubles its input `x`, FP32 [n]. */
export const doubling: TestModel = {
  inputs: [{ name: "x", datatype: "FP32", shape: [-1] }],
  outputs: [{ name: "y", datatype: "FP32", shape: [-1] }],
  infer: ({ inputs }) => {
    const x = inputs[0]?.data as Float32Array;
    return [{ name: "y", datatype: "FP32", shape: [x.length], data: x.map((value) => value * 2) }];
  },
};

/** A real V2 server over a socket, with Naru's own codecs and connection rules. */
export async function startV2Server(options: V2ServerOptions = {}): Promise<V2Server> {
  const models = options.models ?? { digits: doubling };
  const seen: Seen[] = [];
  let open = 0;
  const http = httpConfig.parse({});
  const server = createServer(httpServerOptions(http), (request, response) => {
    open += 1;
    response.once("close", () => {
      open -= 1;
    });
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      if (options.intercept?.(request, response, body) !== true) void answer(models, request, response, body);
    });
  });
  const lifecycle = manageHttp1(server, http);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    lifecycle,
    seen,
    open: () => open,
    close: () => lifecycle.stop(),
  };
}

async function answer(
  models: Readonly<Record<string, TestModel>>,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<void> {
  const send = (status: number, value: unknown) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  const url = request.url ?? "";
  if (url === "/v2/health/ready") return send(200, { ready: true });
  const [, name, action] = /^\/v2\/models\/([^/]+)(?:\/(\w+))?$/.exec(url) ?? [];
  const model = name === undefined ? undefined : models[name];
  if (name === undefined || model === undefined) return send(404, { error: `no such thing: ${url}` });
  if (action === "ready") return send(200, { ready: true });
  if (action === undefined) {
    return send(200, {
      name,
      versions: ["1"],
      platform: "test",
      inputs: model.inputs,
      outputs: model.outputs,
    });
  }
  try {
    const length = request.headers["inference-header-content-length"];
    const asked = decodeInferRequest(body, length === undefined ? undefined : Number(length));
    const outputs = await model.infer(asked);
    const encoded = encodeInferResponse({ modelName: name, outputs, parameters: {} }, asked);
    if (typeof encoded === "string") {
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(encoded),
      });
      response.end(encoded);
    } else {
      response.writeHead(200, {
        "content-type": "application/octet-stream",
        "content-length": encoded.body.length,
        ...(encoded.headerLength === undefined
          ? {}
          : { "inference-header-content-length": encoded.headerLength }),
      });
      response.end(encoded.body);
    }
  } catch (error) {
    send(400, { error: error instanceof Error ? error.message : "wrong" });
  }
}
