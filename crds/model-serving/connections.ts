import { z } from "zod";
import { INGRESS_PROFILES } from "../ingress-profiles.ts";
import { withRules } from "../rules.ts";

const profiles = Object.entries(INGRESS_PROFILES);
const celMap = (field: "idleTimeoutSeconds" | "deregistrationSeconds") =>
  `{${profiles.map(([name, values]) => `'${name}': ${values[field]}`).join(", ")}}`;

/** CEL for the idle time-out in force: the field, else the profile's. */
const celIdle = `(has(self.idleTimeoutSeconds) ? self.idleTimeoutSeconds : ${celMap("idleTimeoutSeconds")}[self.profile])`;

/** What stands before the pods. Keep-alive, preStop and grace follow from it. */
export const ingress = withRules(
  z.strictObject({
    profile: z
      .enum(
        Object.keys(INGRESS_PROFILES) as [
          keyof typeof INGRESS_PROFILES,
          ...(keyof typeof INGRESS_PROFILES)[],
        ],
      )
      .default("ALB")
      .describe(
        "The load balancer or proxy that clients come through. It sets the idle time-out and the time that deregistration takes.",
      ),
    idleTimeoutSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .optional()
      .describe("The proxy's idle time-out, where it was changed from the profile's."),
    keepAliveSeconds: z
      .int()
      .min(2)
      .max(90_000)
      .optional()
      .describe(
        "How long the server keeps an idle connection. It must be longer than the idle time-out. Absent: idle time-out and a margin.",
      ),
    deregistrationSeconds: z
      .int()
      .min(0)
      .max(3600)
      .optional()
      .describe(
        "How long the proxy may still send new requests to a pod that leaves, where it differs from the profile's.",
      ),
    connectionMaxAgeSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(300)
      .describe(
        "Age after which a connection is asked to close, with jitter, so that clients reach pods that came later.",
      ),
    connectionMaxAgeGraceSeconds: z
      .int()
      .min(1)
      .max(3600)
      .default(30)
      .describe("Time for requests in flight on a connection that has reached its age."),
  }),
  [
    {
      cel: `!has(self.keepAliveSeconds) || self.keepAliveSeconds > ${celIdle}`,
      at: ["keepAliveSeconds"],
      message:
        "ingress: keepAliveSeconds must be longer than the ingress profile's idle time-out, or the proxy sends requests into closing connections: raise keepAliveSeconds, or set idleTimeoutSeconds to what the proxy really has",
      holds: (value) =>
        value.keepAliveSeconds === undefined ||
        value.keepAliveSeconds >
          (value.idleTimeoutSeconds ?? INGRESS_PROFILES[value.profile].idleTimeoutSeconds),
    },
  ],
).describe("What stands before the pods.");

/** How a pod ends. */
export const termination = withRules(
  z.strictObject({
    preStopSeconds: z
      .int()
      .min(0)
      .max(3600)
      .optional()
      .describe(
        "Sleep before SIGTERM, while proxies learn that the pod leaves. Absent: the deregistration time of the ingress profile.",
      ),
    drainSeconds: z
      .int()
      .min(0)
      .max(3600)
      .optional()
      .describe(
        "After SIGTERM: time for requests in flight and for idle connections that a peer still holds. Absent: the request deadline, at least 15.",
      ),
    gracePeriodSeconds: z
      .int()
      .min(1)
      .max(7200)
      .optional()
      .describe(
        "terminationGracePeriodSeconds of the pod. It must be longer than preStop and drain together. Absent: both and 5.",
      ),
  }),
  [
    {
      cel: "!has(self.gracePeriodSeconds) || !has(self.preStopSeconds) || !has(self.drainSeconds) || self.gracePeriodSeconds > self.preStopSeconds + self.drainSeconds",
      at: ["gracePeriodSeconds"],
      message:
        "termination: gracePeriodSeconds must be longer than preStopSeconds and drainSeconds together, or the pod is killed while it drains: raise gracePeriodSeconds, or shorten the others",
      holds: (value) =>
        value.gracePeriodSeconds === undefined ||
        value.preStopSeconds === undefined ||
        value.drainSeconds === undefined ||
        value.gracePeriodSeconds > value.preStopSeconds + value.drainSeconds,
    },
  ],
).describe("How a pod ends: preStop, drain, grace.");

/** CEL map of each profile's deregistration time, for the rule of the spec that joins ingress and termination. */
export const CEL_DEREGISTRATION = celMap("deregistrationSeconds");
