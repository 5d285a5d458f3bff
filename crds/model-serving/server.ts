import { z } from "zod";
import { postprocessStep, preprocessStep } from "./steps.ts";

/** How Naru's own inference server serves; nothing of it applies to `container`. */
export const server = z
  .strictObject({
    requestTimeoutMilliseconds: z
      .int()
      .min(1)
      .max(3_600_000)
      .default(30_000)
      .describe("Deadline of a request; a shorter one that the client sends wins."),
    maxRequestBytes: z
      .int()
      .min(1024)
      .max(2_147_483_647)
      .default(67_108_864)
      .describe("Largest body, after inflation."),
    maxQueuedRequests: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(1024)
      .describe("Requests of a model that wait or run; beyond it the answer is 503 with Retry-After."),
    batching: z
      .strictObject({
        enabled: z.boolean().default(true).describe("Run requests that wait together as one batch."),
        maxSize: z.int().min(1).max(4096).default(32).describe("Most rows in a batch."),
        maxDelayMicroseconds: z
          .int()
          .min(0)
          .max(10_000_000)
          .default(0)
          .describe("How long a request waits for others. 0: batch what already waits."),
      })
      .prefault({})
      .describe("Dynamic batching, across REST and gRPC."),
    execution: z
      .enum(["Auto", "Inline", "Worker"])
      .default("Auto")
      .describe(
        "Where a model runs. Auto: by the time measured at warm-up, on the event loop or in a worker thread.",
      ),
    workers: z.int().min(1).max(64).default(1).describe("Worker threads of a model that runs in workers."),
    threads: z
      .int()
      .min(1)
      .max(256)
      .default(1)
      .describe("Threads of one run (onnxruntime's intra-op threads)."),
    warmupRuns: z
      .int()
      .min(0)
      .max(1000)
      .default(3)
      .describe("Runs on made-up input before the pod is ready."),
    modelControl: z
      .enum(["None", "Explicit"])
      .default("None")
      .describe("Explicit: the repository API may load and unload models declared here, by digest."),
    preprocess: z.array(preprocessStep).max(16).optional().describe("Steps before the model."),
    postprocess: z.array(postprocessStep).max(16).optional().describe("Steps after the model."),
    startupSeconds: z
      .int()
      .min(1)
      .max(7200)
      .default(600)
      .describe("How long a server may take to be ready for the first time."),
  })
  .describe("Settings of Naru's inference server.");
