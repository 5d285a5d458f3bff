import { z } from "zod";
import { decimal, percent } from "../primitives.ts";
import { rising, withRules } from "../rules.ts";

const divergence = z
  .strictObject({
    mirrorPercent: z
      .int()
      .min(1)
      .max(100)
      .default(10)
      .describe(
        "Share of the stable revision's requests that the canary answers too; its answer is compared and thrown away.",
      ),
    maxPerMille: z.int().min(0).max(1000).describe("Most mirrored answers in a thousand that may differ."),
    compare: z
      .enum(["Argmax", "Values"])
      .default("Argmax")
      .describe(
        "Argmax: the highest element of the last axis must be the same. Values: each element within the tolerance.",
      ),
    tolerance: decimal.default("0.001").describe("Values: |a − b| ≤ tolerance × max(1, |a|)."),
  })
  .describe("Compare answers of both revisions to the same requests.");

const analysis = z
  .strictObject({
    minRequests: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(100)
      .describe("Requests that the canary must have answered before a step is judged."),
    maxErrorPerMille: z
      .int()
      .min(0)
      .max(1000)
      .default(1)
      .describe("Most failed requests in a thousand, as the router saw them."),
    maxP99Milliseconds: z
      .int()
      .min(1)
      .max(3_600_000)
      .optional()
      .describe("Highest 99th percentile of latency, as the router saw it."),
    maxP99IncreasePercent: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .describe("Highest 99th percentile, beside the stable revision's in the same step."),
    divergence: divergence.optional(),
    maxRestarts: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe("Most container restarts of the canary's pods."),
  })
  .describe("What a step is judged by.");

export const canary = z
  .strictObject({
    steps: withRules(
      z
        .array(
          z.strictObject({
            weightPercent: percent.describe(
              "Share of requests that the canary answers. 0: mirrored requests only.",
            ),
            holdSeconds: z.int().min(0).max(604_800).describe("Least time at this weight."),
          }),
        )
        .min(1)
        .max(20),
      [
        rising(
          "weightPercent",
          20,
          "canary: weightPercent must rise from step to step: reorder the steps, or remove one",
        ),
      ],
    ).describe("Weights, rising. After the last step the revision is promoted."),
    analysis: analysis.prefault({}),
    progressDeadlineSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .default(600)
      .describe("A step that cannot be judged for this long ends in a rollback."),
  })
  .describe("Roll out by weight and analysis. Absent: a rolling update.");
