import { z } from "zod";
import { labels, percent } from "../primitives.ts";
import { celAtMostOne, countPresent, rising, withRules } from "../rules.ts";

const metric = z.strictObject({
  type: z
    .enum(["CPU", "Memory", "Concurrency", "RequestsPerSecond", "QueueMilliseconds"])
    .describe("CPU and Memory: percent of the request. Others: a pod's average, from Naru's own metrics."),
  target: z.int().min(1).max(1_000_000).describe("Value that the average is held at."),
});

export const autoscaling = withRules(
  z.strictObject({
    minReplicas: z
      .int()
      .min(0)
      .max(10_000)
      .default(1)
      .describe("Least replicas. 0 needs the router in front, which holds requests until a pod is ready."),
    maxReplicas: z.int().min(1).max(10_000).describe("Most replicas."),
    metrics: z.array(metric).max(8).optional().describe("What is scaled on. Absent: 80 % CPU."),
    provider: z
      .enum(["Auto", "HPA", "KEDA"])
      .default("Auto")
      .describe("Auto: KEDA where a metric needs it and it is installed, else a HorizontalPodAutoscaler."),
    scaleDownStabilizationSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(300)
      .describe("How long a lower count must be right before it is followed."),
    scaleToZeroAfterSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .default(300)
      .describe("With minReplicas 0: idle time after which the last replica leaves."),
  }),
  [
    {
      cel: "self.minReplicas <= self.maxReplicas",
      at: ["minReplicas"],
      message: "autoscaling: minReplicas must not be above maxReplicas: lower it, or raise maxReplicas",
      holds: (value) => value.minReplicas <= value.maxReplicas,
    },
  ],
).describe("Scale by load. It takes the place of `replicas`.");

const intOrPercent = z
  .union([
    z.int().min(0),
    z
      .string()
      .max(4)
      .regex(/^[0-9]{1,3}%$/),
  ])
  .meta({ "x-kubernetes-int-or-string": true });

export const availability = withRules(
  z.strictObject({
    minAvailable: intOrPercent
      .optional()
      .describe("Pods that an eviction must leave, of the PodDisruptionBudget."),
    maxUnavailable: intOrPercent
      .optional()
      .describe("Pods that evictions may take at once. Absent with minAvailable: 1."),
    topologySpread: z
      .enum(["Preferred", "Required", "None"])
      .default("Preferred")
      .describe("Spread over zones and nodes."),
    maxSurge: intOrPercent
      .optional()
      .describe(
        "Pods above the count in a rolling update. Absent: 25 %, or 0 where an accelerator is asked for and one replica more could not be placed.",
      ),
  }),
  [
    {
      cel: celAtMostOne(["minAvailable", "maxUnavailable"]),
      message: "availability: set minAvailable or maxUnavailable, not both",
      holds: (value) => countPresent(value, ["minAvailable", "maxUnavailable"]) <= 1,
    },
  ],
).describe("Disruption, spread and surge.");

export const robots = z
  .strictObject({
    selector: z
      .strictObject({
        matchLabels: labels.describe("Labels that a robot must have."),
      })
      .describe("Which robots of the fleet."),
    waves: withRules(
      z
        .array(
          z.strictObject({
            percent: percent.min(1).describe("Share of the fleet, rising."),
            soakSeconds: z
              .int()
              .min(0)
              .max(2_592_000)
              .describe("How long a wave is watched before the next."),
          }),
        )
        .min(1)
        .max(20),
      [
        rising(
          "percent",
          20,
          "robots: percent must rise from wave to wave: reorder the waves, or remove one",
        ),
      ],
    )
      .optional()
      .describe("Waves. Absent: the whole fleet at once."),
    quorumPercent: percent
      .min(1)
      .default(95)
      .describe("Share of a wave that must report success. A robot that is offline is not a success."),
    maxFailures: z
      .int()
      .min(0)
      .max(100_000)
      .default(0)
      .describe("Failures after which the rollout halts and rolls back."),
    latencyBudgetMilliseconds: z
      .int()
      .min(1)
      .max(3_600_000)
      .optional()
      .describe("Highest 99th percentile on the robot before a version goes live."),
  })
  .describe("Carry the model to robots as well.");
