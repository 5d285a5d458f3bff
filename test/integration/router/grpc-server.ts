import type { AddressInfo } from "node:net";
import { httpConfig } from "../../../lib/config/inference.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { decodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import {
  encodeModelInferResponse,
  encodeModelStreamInferResponse,
} from "../../../lib/grpc/infer-response.ts";
import { HealthStatus, healthCheckResponse, readyResponse } from "../../../lib/grpc/messages.ts";
import { createGrpcServer, type GrpcCall, type GrpcMethod } from "../../../lib/grpc/server.ts";
import { BodyBudget } from "../../../lib/http/body-budget.ts";
import { manageHttp2 } from "../../../lib/http/http2-lifecycle.ts";
import type { ServerLifecycle } from "../../../lib/http/lifecycle.ts";
import type { TestModel } from "./v2-server.ts";

export interface GrpcTestServer {
  readonly url: string;
  readonly port: number;
  readonly lifecycle: ServerLifecycle;
  readonly calls: GrpcCall[];
  close(): void;
}

/** A real gRPC server of one model. `before` may wait, or throw what the call is to end with. */
export async function startGrpcServer(
  model: TestModel,
  before: (call: GrpcCall) => unknown = () => undefined,
  http: Record<string, unknown> = {},
  port = 0,
): Promise<GrpcTestServer> {
  const calls: GrpcCall[] = [];
  const run = async (message: Buffer, call: GrpcCall) => {
    calls.push(call);
    await before(call);
    const { modelName, request } = decodeModelInferRequest(message);
    return {
      modelName,
      ...(request.id === undefined ? {} : { id: request.id }),
      outputs: await model.infer(request),
      parameters: {},
    };
  };
  const methods = new Map<string, GrpcMethod>([
    [
      "/inference.GRPCInferenceService/ModelInfer",
      {
        unary: async (message, call) =>
          sealFrame(encodeModelInferResponse(await run(message, call), frameHeaderBytes)),
      },
    ],
    [
      "/inference.GRPCInferenceService/ModelStreamInfer",
      {
        stream: async (messages, writer, call) => {
          for await (const message of messages) {
            const response = await run(message, call);
            await writer.write(sealFrame(encodeModelStreamInferResponse({ response }, frameHeaderBytes)));
          }
        },
      },
    ],
    [
      "/inference.GRPCInferenceService/ServerReady",
      { unary: () => sealFrame(readyResponse.encode({ ready: true }, frameHeaderBytes)) },
    ],
    [
      "/grpc.health.v1.Health/Check",
      {
        unary: () =>
          sealFrame(healthCheckResponse.encode({ status: HealthStatus.SERVING }, frameHeaderBytes)),
      },
    ],
  ]);
  const server = createGrpcServer({
    methods,
    bodies: new BodyBudget(1024 * 1024 * 1024),
    maxMessageBytes: 64 * 1024 * 1024,
    requestTimeoutMilliseconds: 30_000,
    onFault: () => undefined,
  });
  const lifecycle = manageHttp2(server, httpConfig.parse(http));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const taken = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    lifecycle,
    calls,
    close: () => lifecycle.stop(),
  };
}
