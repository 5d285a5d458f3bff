import { readFile } from "node:fs/promises";
import Fastify from "fastify";
import { InferenceSession, Tensor } from "onnxruntime-node";

/**
 * What one writes by hand in an afternoon: fastify, onnxruntime-node, the V2 protocol's JSON and binary bodies for FP32,
 * and nothing checked. The peer that the inference server is measured against.
 *
 *   node test/bench/inference-bare.ts MODEL.onnx PORT
 */

interface Entry {
  name: string;
  shape: number[];
  data?: number[];
  parameters?: { binary_data_size?: number };
}

interface Body {
  id?: string;
  inputs: Entry[];
  parameters?: { binary_data_output?: boolean };
}

const [path = "", port = "0"] = process.argv.slice(2);
const session = await InferenceSession.create(await readFile(path), {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});
const app = Fastify({ bodyLimit: 64 * 1024 * 1024, keepAliveTimeout: 75_000 });

app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (_request, body, done) =>
  done(null, body),
);

app.get("/v2/health/ready", async () => "");

app.post<{ Params: { name: string } }>("/v2/models/:name/infer", async (request, reply) => {
  const headerLength = request.headers["inference-header-content-length"];
  const binary = typeof headerLength === "string";
  const bytes = request.body as Buffer;
  let offset = Number(headerLength ?? 0);
  const body = binary ? (JSON.parse(bytes.toString("utf8", 0, offset)) as Body) : (request.body as Body);
  const feeds: Record<string, Tensor> = {};
  for (const { name, shape, data, parameters } of body.inputs) {
    const size = parameters?.binary_data_size;
    let values: Float32Array;
    if (size === undefined) values = Float32Array.from(data ?? []);
    else {
      values = new Float32Array(size / 4);
      bytes.copy(new Uint8Array(values.buffer), 0, offset, offset + size);
      offset += size;
    }
    feeds[name] = new Tensor("float32", values, shape);
  }
  const results = await session.run(feeds);
  const raw: Buffer[] = [];
  const outputs = Object.entries(results).map(([name, { data, dims }]) => {
    const values = data as Float32Array;
    const head = { name, datatype: "FP32", shape: dims };
    if (body.parameters?.binary_data_output !== true) return { ...head, data: Array.from(values) };
    raw.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    return { ...head, parameters: { binary_data_size: values.byteLength } };
  });
  const answer = { model_name: request.params.name, model_version: "1", id: body.id, outputs };
  if (raw.length === 0) return answer;
  const json = Buffer.from(JSON.stringify(answer));
  reply.header("inference-header-content-length", json.length).type("application/octet-stream");
  return Buffer.concat([json, ...raw]);
});

console.log(await app.listen({ port: Number(port), host: "127.0.0.1" }));
