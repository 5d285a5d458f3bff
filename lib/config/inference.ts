import { z } from "zod";

/**
 * What the operator tells an inference server, as `inference.json` in NARU_CONFIG_DIR. One revision of a
 * ModelServing has one such file and it never changes: a change is a new revision.
 * `examples` and tests write it by hand, so it is checked like anything else that comes from outside.
 */

const step = z.strictObject({
  /** BYTES tensor with PNG or JPEG files → UINT8 [n, h, w, c]. */
  decodeImage: z
    .strictObject({ input: z.string(), output: z.string(), color: z.enum(["Grayscale", "RGB"]) })
    .optional(),
  /** UINT8 [n, h, w, c] → the same at another size. */
  resize: z
    .strictObject({
      tensor: z.string(),
      width: z.int().min(1).max(8192),
      height: z.int().min(1).max(8192),
      fit: z.enum(["Fill", "Contain", "Cover"]).optional(),
    })
    .optional(),
  /** Any number type → FP32: (x × scale − mean[c]) ÷ std[c], laid out as asked. */
  normalize: z
    .strictObject({
      input: z.string(),
      output: z.string(),
      scale: z.number().optional(),
      mean: z.array(z.number()).max(16).optional(),
      std: z.array(z.number()).max(16).optional(),
      layout: z.enum(["NCHW", "NHWC"]).optional(),
    })
    .optional(),
  /** Over the last axis. */
  softmax: z.strictObject({ input: z.string(), output: z.string() }).optional(),
  /** Over the last axis: FP32 scores and INT64 indices. */
  topK: z
    .strictObject({ input: z.string(), scores: z.string(), indices: z.string(), k: z.int().min(1).max(1000) })
    .optional(),
  /** INT64 indices → BYTES labels, from a list or from one line an index of a file among the model's files. */
  labels: z
    .strictObject({
      input: z.string(),
      output: z.string(),
      values: z.array(z.string()).max(10_000).optional(),
      file: z.string().optional(),
    })
    .optional(),
  /** BYTES tensor of JSON documents, one a row → a tensor a field (JSON Pointer). */
  jsonToTensors: z
    .strictObject({
      input: z.string(),
      fields: z
        .array(
          z.strictObject({
            pointer: z.string(),
            tensor: z.string(),
            datatype: z.enum(["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"]),
            shape: z.array(z.int().min(1)).max(8).optional(),
          }),
        )
        .max(64),
    })
    .optional(),
  /** Tensors → a BYTES tensor of JSON documents, one a row. */
  tensorsToJson: z
    .strictObject({
      output: z.string(),
      fields: z.array(z.strictObject({ tensor: z.string(), pointer: z.string() })).max(64),
    })
    .optional(),
});

export const inferenceModel = z.strictObject({
  /** The name in URLs. */
  name: z.string().min(1),
  version: z.string().min(1).default("1"),
  /** The ONNX file, relative to NARU_MODELS_DIR. */
  path: z.string().min(1),
  /** Files beside it (external data, labels), relative to NARU_MODELS_DIR, keyed by the name that steps use. */
  files: z.record(z.string(), z.string()).default({}),
  /** Not loaded at start; waits for a load request. Only under modelControl Explicit. */
  onDemand: z.boolean().default(false),
  batching: z
    .strictObject({
      enabled: z.boolean().default(true),
      maxSize: z.int().min(1).max(4096).default(32),
      /** 0: batch what is already waiting, never wait for more. */
      maxDelayMicroseconds: z.int().min(0).max(10_000_000).default(0),
    })
    .prefault({}),
  /** Auto: inline where the warm-up measured a run short enough, else in a worker thread. */
  execution: z.enum(["Auto", "Inline", "Worker"]).default("Auto"),
  workers: z.int().min(1).max(64).default(1),
  /** onnxruntime's intra-op threads of a session. */
  threads: z.int().min(1).max(256).default(1),
  warmupRuns: z.int().min(0).max(1000).default(3),
  preprocess: z.array(step).max(16).default([]),
  postprocess: z.array(step).max(16).default([]),
});

export const inferenceConfig = z.strictObject({
  /** Revision of the ModelServing; shown in metrics and in the V2 response header `naru-revision`. */
  revision: z.string().default(""),
  models: z.array(inferenceModel).min(1).max(64),
  modelControl: z.enum(["None", "Explicit"]).default("None"),
  requestTimeoutMilliseconds: z.int().min(1).default(30_000),
  maxRequestBytes: z
    .int()
    .min(1024)
    .default(64 * 1024 * 1024),
  /**
   * Bytes of requests' bodies held at once, over all connections; beyond it 503 + Retry-After. By default a quarter of
   * the container's memory. Never below three times maxRequestBytes.
   */
  maxHeldBytes: z.int().min(1).optional(),
  /** Requests of a model that wait or run; beyond it 503 + Retry-After. */
  maxQueuedRequests: z.int().min(1).default(1024),
  http: z.lazy(() => httpConfig).prefault({}),
});

/** Connection rules of any Naru server; see lib/http. */
export const httpConfig = z.strictObject({
  keepAliveSeconds: z.int().min(1).default(75),
  /** Header and body must be there within this time: short, finite, and independent of keep-alive. */
  headersTimeoutSeconds: z.int().min(1).default(10),
  bodyTimeoutSeconds: z.int().min(1).default(30),
  connectionMaxAgeSeconds: z.int().min(1).default(300),
  connectionMaxAgeJitterPercent: z.int().min(0).max(50).default(10),
  connectionMaxAgeGraceSeconds: z.int().min(1).default(30),
  maxConnections: z.int().min(1).default(10_000),
  /** After SIGTERM: how long idle connections stay open for a peer that still holds them. */
  drainSeconds: z.int().min(0).default(20),
});

export type HttpConfig = z.output<typeof httpConfig>;
export type InferenceConfig = z.output<typeof inferenceConfig>;
export type InferenceModel = z.output<typeof inferenceModel>;
export type InferenceStep = z.output<typeof step>;
