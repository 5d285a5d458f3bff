import { z } from "zod";
import { INGRESS_PROFILES } from "./ingress-profiles.ts";
import { canary } from "./model-serving/canary.ts";
import { CEL_DEREGISTRATION, ingress, termination } from "./model-serving/connections.ts";
import { graph } from "./model-serving/graph.ts";
import { model } from "./model-serving/model.ts";
import { container, podSettings } from "./model-serving/pod.ts";
import { autoscaling, availability, robots } from "./model-serving/scaling.ts";
import { server } from "./model-serving/server.ts";
import { status } from "./model-serving/status.ts";
import { networkPolicy, observability, traffic } from "./model-serving/traffic.ts";
import { celExactlyOne, countPresent, withRules } from "./rules.ts";

const sources = ["model", "container", "graph"];

/** The drain time in force where `termination.drainSeconds` is absent: the request deadline, at least 15 s. */
export function defaultDrainSeconds(requestTimeoutMilliseconds: number): number {
  return Math.max(15, Math.ceil(requestTimeoutMilliseconds / 1000));
}

const celTimeout = "(has(self.server) ? self.server.requestTimeoutMilliseconds : 30000)";
const celDrain = `(has(self.termination.drainSeconds) ? self.termination.drainSeconds : (${celTimeout} <= 15000 ? 15 : (${celTimeout} + 999) / 1000))`;
const celPreStop = `(has(self.termination.preStopSeconds) ? self.termination.preStopSeconds : (has(self.ingress) ? (has(self.ingress.deregistrationSeconds) ? self.ingress.deregistrationSeconds : ${CEL_DEREGISTRATION}[self.ingress.profile]) : ${INGRESS_PROFILES.ALB.deregistrationSeconds}))`;

export const modelServingSpec = withRules(
  z.strictObject({
    model: model.optional().describe("The model, served by Naru's inference server."),
    container: container
      .optional()
      .describe(
        "The user's own server (Triton, vLLM, BentoML, anything that speaks HTTP or gRPC), with the same drain, keep-alive, canary, autoscaling and status.",
      ),
    graph: graph.optional(),
    replicas: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .describe(
        "Pods. Absent, and without autoscaling: as many as there are, 1 at first. `kubectl scale` works where it is set.",
      ),
    autoscaling: autoscaling.optional(),
    server: server.optional(),
    ingress: ingress.optional(),
    termination: termination.optional(),
    canary: canary.optional(),
    traffic: traffic.optional(),
    availability: availability.optional(),
    pod: podSettings.optional(),
    robots: robots.optional(),
    observability: observability.optional(),
    networkPolicy: networkPolicy.optional(),
    revisionHistoryLimit: z.int().min(2).max(50).default(10).describe("Past revisions that are kept."),
    progressDeadlineSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .default(600)
      .describe("A rolling update without progress for this long is Degraded."),
  }),
  [
    {
      cel: celExactlyOne(sources),
      message: "spec: set exactly one of model (with one of uri, files and image), container and graph",
      holds: (value) => countPresent(value, sources) === 1,
    },
    {
      cel: "!(has(self.replicas) && has(self.autoscaling))",
      at: ["replicas"],
      message:
        "spec: replicas and autoscaling exclude each other: remove replicas to scale by load, or autoscaling to keep a fixed count",
      holds: (value) => value.replicas === undefined || value.autoscaling === undefined,
    },
    {
      cel: "!has(self.autoscaling) || self.autoscaling.minReplicas > 0 || has(self.canary) || has(self.graph) || (has(self.traffic) && self.traffic.router == 'Always')",
      at: ["autoscaling", "minReplicas"],
      message:
        "spec: autoscaling.minReplicas 0 needs the router in front, which holds requests until a pod is ready: set traffic.router to Always, or minReplicas to 1",
      holds: (value) =>
        value.autoscaling === undefined ||
        value.autoscaling.minReplicas > 0 ||
        value.canary !== undefined ||
        value.graph !== undefined ||
        value.traffic?.router === "Always",
    },
    {
      cel: `!has(self.termination) || !has(self.termination.gracePeriodSeconds) || self.termination.gracePeriodSeconds > ${celPreStop} + ${celDrain}`,
      at: ["termination", "gracePeriodSeconds"],
      message:
        "spec: termination.gracePeriodSeconds must be longer than preStop and drain together (where they are absent: the deregistration time of the ingress profile, and the request deadline): raise gracePeriodSeconds, or set preStopSeconds and drainSeconds",
      holds: (value) => {
        const grace = value.termination?.gracePeriodSeconds;
        if (grace === undefined) return true;
        const preStop =
          value.termination?.preStopSeconds ??
          value.ingress?.deregistrationSeconds ??
          INGRESS_PROFILES[value.ingress?.profile ?? "ALB"].deregistrationSeconds;
        const drain =
          value.termination?.drainSeconds ??
          defaultDrainSeconds(value.server?.requestTimeoutMilliseconds ?? 30_000);
        return grace > preStop + drain;
      },
    },
    {
      cel: "!(has(self.server) && has(self.container))",
      at: ["server"],
      message: "spec: server sets Naru's own inference server and does nothing for container: remove server",
      holds: (value) => value.server === undefined || value.container === undefined,
    },
  ],
);

/** A name that leaves room for the suffixes of its children (`-canary`, `-router`, a node's name) in 63 characters. */
const name = z
  .string()
  .min(1)
  .max(40)
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/);

/** A ModelServing as a user writes it, and as the operator reads it (with status). */
export const modelServing = z.object({
  apiVersion: z.literal("naru.dev/v1alpha1"),
  kind: z.literal("ModelServing"),
  metadata: z.looseObject({ name }),
  spec: modelServingSpec,
  status: status.optional(),
});

export type ModelServing = z.output<typeof modelServing>;
export type ModelServingSpec = z.output<typeof modelServingSpec>;
export type ModelServingStatus = z.output<typeof status>;
