import { z } from "zod";
import { labelValue } from "../primitives.ts";

const text = (max: number) => z.string().max(max);
const count = z.int().min(0);
const time = z.iso.datetime().meta({ format: "date-time" });

const condition = z.strictObject({
  type: text(316).describe(
    "Ready, Progressing, Degraded, ModelAvailable, RolloutComplete, RoutersConfigured, ScalingActive, RoutesAccepted, ServiceMonitorApplied or RobotsAssigned.",
  ),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  reason: text(1024).describe("CamelCase reason."),
  message: text(32768).describe("What it means and what to do."),
  observedGeneration: count.optional().describe("Generation of the resource that it speaks of."),
  lastTransitionTime: time.describe("When the status last changed."),
});

/** Numbers that a step was judged by, as the routers saw them since the step began. */
const stepNumbers = {
  requests: count.describe("Requests that the canary answered in this step."),
  errorPerMille: count.describe("Failed requests in a thousand."),
  p99Milliseconds: count.optional().describe("99th percentile of latency."),
  stableP99Milliseconds: count.optional().describe("The stable revision's in the same step."),
  mirrored: count.optional().describe("Requests that both revisions answered."),
  divergencePerMille: count.optional().describe("Mirrored answers in a thousand that differed."),
  restarts: count.describe("Container restarts of the canary's pods."),
};

export const status = z
  .strictObject({
    observedGeneration: count.optional().describe("Generation that this status speaks of."),
    conditions: z
      .array(condition)
      .max(16)
      .optional()
      .describe("The conditions.")
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] }),
    replicas: count.optional().describe("Pods of the stable revision."),
    readyReplicas: count.optional().describe("Pods of the stable revision that are ready."),
    selector: text(1024).optional().describe("Label selector of the serving pods, for /scale."),
    url: text(2048).optional().describe("Address of the V2 protocol over REST."),
    grpcUrl: text(2048).optional().describe("Address of the V2 protocol over gRPC."),
    revision: text(63).optional().describe("Stable revision: what serves."),
    modelDigest: text(64).optional().describe("Digest of the stable revision's model."),
    model: text(16).optional().describe("First eight digits of the model digest, for the printer column."),
    canarySummary: text(64).optional().describe("Weight and step, for the printer column."),
    canary: z
      .strictObject({
        revision: text(63).describe("Revision that is rolled out."),
        modelDigest: text(64).optional().describe("Digest of its model."),
        phase: z
          .enum(["Starting", "Stepping", "Paused", "Promoting", "RollingBack"])
          .describe(
            "Starting: pods are not ready. Stepping: a step is running. Promoting: judged good, stable follows. RollingBack: weight is being taken back.",
          ),
        attempt: count.describe("Counts retries of the same revision."),
        step: count.describe("Index of the step, from 0."),
        steps: count.describe("Number of steps."),
        weightPercent: count.describe("Weight that every router applies."),
        wantedWeightPercent: count
          .optional()
          .describe("Weight that the routers are asked for. Absent: they were not told of the canary yet."),
        generation: text(128).optional().describe("Name of the routers' configuration for this step."),
        startedAt: time.optional().describe("When the rollout began."),
        stepStartedAt: time.optional().describe("When every router had applied the step."),
        waitingSince: time.optional().describe("From when the progress deadline counts."),
        heldWeightPercent: count
          .optional()
          .describe("Weight that it gets again once it has pods: those that it had were taken away."),
        interruptions: count
          .optional()
          .describe("How often the canary's pods were taken away (by a drained node) since the step before."),
        message: text(4096).optional().describe("What is waited for."),
        ...stepNumbers,
      })
      .optional()
      .describe("The rollout under way."),
    lastRollout: z
      .strictObject({
        revision: text(63).describe("Revision that was rolled out."),
        result: z.enum(["Promoted", "RolledBack", "Aborted", "Superseded"]).describe("How it ended."),
        reason: text(1024).describe("CamelCase reason."),
        message: text(4096).describe("Why."),
        finishedAt: time.describe("When."),
        attempt: count.optional().describe("Which retry of the revision it was; 0: the first try."),
        step: count.optional().describe("Step at which it ended."),
        requests: count.optional().describe("Requests that the canary had answered in that step."),
      })
      .optional()
      .describe("How the last rollout ended."),
    failedRevisions: z
      .array(text(63))
      .max(10)
      .optional()
      .describe(
        "Revisions that were rolled back; they are not tried again until `spec` changes or a retry is asked for.",
      ),
    handledAction: text(256).optional().describe("Last promote, abort, retry or pause that was acted on."),
    runtimeImage: text(512)
      .optional()
      .describe("Runtime image of the stable revision; an operator upgrade does not change it."),
    routerConfig: z
      .strictObject({
        sequence: count.describe("Its number: it rises with each content, and routers take no lower one."),
        digest: text(64).describe("SHA-256 of its content."),
      })
      .optional()
      .describe("The configuration that the routers were given last."),
    effective: z
      .strictObject({
        profile: text(16).describe("Ingress profile."),
        idleTimeoutSeconds: count.describe("Idle time-out of what stands before."),
        keepAliveSeconds: count.describe("Keep-alive of the server."),
        preStopSeconds: count.describe("Sleep before SIGTERM."),
        drainSeconds: count.describe("Drain after SIGTERM."),
        gracePeriodSeconds: count.describe("terminationGracePeriodSeconds."),
        connectionMaxAgeSeconds: count.describe("Age at which connections are asked to close."),
        requestTimeoutMilliseconds: count.describe("Deadline of a request."),
        replicas: count.describe("Replicas wanted of the stable revision."),
        maxSurge: text(8).describe("Surge of a rolling update."),
        maxUnavailable: text(8).describe("Pods that a rolling update may take away."),
        routing: z.enum(["Direct", "Router"]).describe("Whether Naru's router stands before the pods."),
      })
      .optional()
      .describe("The values in force, computed from spec."),
    robots: z
      .strictObject({
        matched: count.describe("Robots that the selector matches."),
        updated: count.describe("Robots that serve this revision."),
        failed: count.describe("Robots that failed."),
        offline: count.describe("Robots that did not report."),
        worst: z
          .array(
            z.strictObject({
              name: labelValue.describe("Robot."),
              reason: text(256).describe("What is wrong."),
            }),
          )
          .max(10)
          .optional()
          .describe("The ten worst."),
      })
      .optional()
      .describe("Robots, as counts."),
  })
  .describe("What was observed. Written by the operator alone.");
