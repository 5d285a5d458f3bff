import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { InferenceSession, Tensor } from "onnxruntime-node";

/**
 * The bare peer: what a good engineer writes in an hour with @grpc/grpc-js, @grpc/proto-loader and
 * onnxruntime-node, inline, without batching, checks, metrics or drain. One FP32 input and output, raw contents.
 * Arguments: the model's file, the port (0: any). Prints `listening PORT`.
 */
interface BareRequest {
  model_name: string;
  id: string;
  inputs: { name: string; datatype: string; shape: number[] }[];
  raw_input_contents: Buffer[];
}

const proto = fileURLToPath(new URL("../../lib/grpc/proto/inference.proto", import.meta.url));

export async function startBareGrpc(modelPath: string, port: number): Promise<number> {
  const session = await InferenceSession.create(await readFile(modelPath), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const definition = loadPackageDefinition(
    loadSync(proto, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true }),
  );
  const { GRPCInferenceService } = definition.inference as unknown as Record<
    string,
    ServiceClientConstructor
  >;
  if (GRPCInferenceService === undefined) throw new Error("inference.proto has no GRPCInferenceService");
  const server = new Server();
  server.addService(GRPCInferenceService.service, {
    async ModelInfer(call: ServerUnaryCall<BareRequest, unknown>, callback: sendUnaryData<unknown>) {
      const { model_name, id, inputs, raw_input_contents } = call.request;
      const feeds: Record<string, Tensor> = {};
      for (const [index, input] of inputs.entries()) {
        const raw = raw_input_contents[index] ?? Buffer.alloc(0);
        const data = new Float32Array(raw.length / 4);
        new Uint8Array(data.buffer).set(raw);
        feeds[input.name] = new Tensor("float32", data, input.shape);
      }
      const results = await session.run(feeds);
      const outputs = Object.entries(results).map(([name, tensor]) => ({
        name,
        datatype: "FP32",
        shape: tensor.dims,
      }));
      const raw_output_contents = Object.values(results).map((tensor) => {
        const data = tensor.data as Float32Array;
        return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      });
      callback(null, { model_name, id, outputs, raw_output_contents });
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , modelPath, port = "0"] = process.argv;
  if (modelPath === undefined) throw new Error("usage: grpc-bare.ts MODEL.onnx [PORT]");
  console.log(`listening ${await startBareGrpc(modelPath, Number(port))}`);
}
