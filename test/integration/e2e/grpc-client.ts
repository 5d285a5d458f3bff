import { type Client, credentials, Metadata } from "@grpc/grpc-js";
import { encodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import { decodeModelInferResponse } from "../../../lib/grpc/infer-response.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { InferenceClient } from "../../support/inference-proto.ts";
import type { Digit } from "./stand.ts";

const PATH = "/inference.GRPCInferenceService/ModelInfer";
const DEADLINE_MILLISECONDS = 20_000;
const same = (bytes: Buffer) => bytes;

/** A client with one connection of its own, as a service that holds one channel has it. */
export function grpcClient(address: string): Client {
  return new InferenceClient(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
}

/** Unary, without retries of its own. Rejects with grpc-js' ServiceError. */
export function inferGrpc(
  client: Client,
  modelName: string,
  digits: readonly Digit[],
): Promise<InferResponse> {
  const data = Float32Array.from(digits.flatMap(({ pixels }) => pixels));
  const input = { name: "input", datatype: "FP32", shape: [digits.length, 1, 8, 8], data } as const;
  const request = encodeModelInferRequest({
    modelName,
    modelVersion: "",
    request: { inputs: [{ ...input, shape: [...input.shape] }], outputs: [], parameters: {} },
  });
  const options = { deadline: Date.now() + DEADLINE_MILLISECONDS };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(PATH, same, same, request, new Metadata(), options, (error, answer) => {
      if (error === null && answer !== undefined) resolve(decodeModelInferResponse(answer));
      else reject(error);
    });
  });
}
