import { z } from "zod";
import { dnsLabel, labelKey, labels, labelValue } from "../primitives.ts";
import { withRules } from "../rules.ts";

/** Where pods may run, as in a Pod; what a Pod would be refused for is refused here, where a person reads it. */

export const toleration = withRules(
  z.strictObject({
    key: labelKey.optional().describe("Taint key; absent with Exists matches every taint."),
    operator: z.enum(["Equal", "Exists"]).optional().describe("How key and value are compared."),
    value: labelValue.optional().describe("Taint value."),
    effect: z
      .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
      .optional()
      .describe("Taint effect; absent: all."),
    tolerationSeconds: z
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .optional()
      .describe("How long a NoExecute taint is tolerated."),
  }),
  [
    {
      cel: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
      message: "toleration: set key, or operator Exists for every taint",
      holds: ({ key, operator }) => key !== undefined || operator === "Exists",
    },
    {
      cel: "!has(self.value) || self.value == '' || !has(self.operator) || self.operator == 'Equal'",
      message: "toleration: Exists compares no value: remove value, or set operator to Equal",
      holds: ({ value, operator }) => value === undefined || value === "" || operator !== "Exists",
    },
    {
      cel: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
      message: "toleration: tolerationSeconds goes with effect NoExecute",
      holds: ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === "NoExecute",
    },
  ],
);

/** A requirement on a label. Only nodes' labels are compared as numbers, by Gt and Lt. */
function requirement<const O extends readonly string[]>(...operators: O) {
  return withRules(
    z.strictObject({
      key: labelKey.describe("Label key."),
      operator: z.enum(operators).describe("How it is compared."),
      values: z.array(labelValue).max(64).optional().describe("What it is compared with."),
    }),
    [
      {
        cel: "(self.operator in ['Exists', 'DoesNotExist']) == (!has(self.values) || self.values.size() == 0)",
        message: "affinity: Exists and DoesNotExist take no values, every other operator does",
        holds: ({ operator, values = [] }) =>
          (operator === "Exists" || operator === "DoesNotExist") === (values.length === 0),
      },
    ],
  );
}

const nodeRequirement = requirement("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt");
const podRequirement = requirement("In", "NotIn", "Exists", "DoesNotExist");

const nodeTerm = z.strictObject({
  matchExpressions: z.array(nodeRequirement).max(32).describe("Requirements on labels."),
});

const labelSelector = z.strictObject({
  matchLabels: labels.optional().describe("Labels that must be there."),
  matchExpressions: z.array(podRequirement).max(32).optional().describe("Requirements on labels."),
});

const podTerm = z.strictObject({
  labelSelector: labelSelector.optional().describe("Which pods."),
  namespaces: z.array(dnsLabel).max(32).optional().describe("In which namespaces; absent: in this one."),
  topologyKey: labelKey.describe("Node label that makes the domain."),
});

const weight = z.int().min(1).max(100);

const podAffinity = z.strictObject({
  requiredDuringSchedulingIgnoredDuringExecution: z.array(podTerm).max(16).optional().describe("Must hold."),
  preferredDuringSchedulingIgnoredDuringExecution: z
    .array(
      z.strictObject({
        weight: weight.describe("Weight of the term."),
        podAffinityTerm: podTerm.describe("The term."),
      }),
    )
    .max(16)
    .optional()
    .describe("Should hold."),
});

export const affinity = z
  .strictObject({
    nodeAffinity: z
      .strictObject({
        requiredDuringSchedulingIgnoredDuringExecution: z
          .strictObject({
            nodeSelectorTerms: z.array(nodeTerm).min(1).max(16).describe("One of them must match."),
          })
          .optional()
          .describe("Must hold."),
        preferredDuringSchedulingIgnoredDuringExecution: z
          .array(
            z.strictObject({
              weight: weight.describe("Weight of the term."),
              preference: nodeTerm.describe("The term."),
            }),
          )
          .max(16)
          .optional()
          .describe("Should hold."),
      })
      .optional()
      .describe("Attraction to nodes."),
    podAffinity: podAffinity.optional().describe("Attraction to pods."),
    podAntiAffinity: podAffinity.optional().describe("Repulsion from pods."),
  })
  .describe("Scheduling constraints, as in a Pod.");
