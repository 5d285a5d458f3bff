import type { AdmissionCase } from "./admission-case.ts";

/** Pod settings that no pod could have: refused here, where a person reads it, and not when a pod is to be made. */

const model = { uri: "s3://models/digits/2/model.onnx", sha256: "4b1f".repeat(16) };
const one = { name: "A" };
const secretKey = (key: string) => [{ ...one, valueFrom: { secretKeyRef: { name: "mine", key } } }];
const nodes = (requirement: object) => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "gpu", ...requirement }] }],
    },
  },
});
const pods = (requirement: object) => ({
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      {
        topologyKey: "kubernetes.io/hostname",
        labelSelector: { matchExpressions: [{ key: "app", ...requirement }] },
      },
    ],
  },
});

const accepted: readonly [name: string, pod: object][] = [
  ["a variable that is empty", { env: [{ ...one, value: "" }] }],
  ["a key of a Secret that begins with a dot", { env: secretKey(".dockerconfigjson") }],
  [
    "every form of toleration",
    {
      tolerations: [
        { operator: "Exists" },
        { key: "gpu" },
        { key: "gpu", operator: "Equal", value: "l4" },
        { key: "gpu", operator: "Exists", value: "", effect: "NoExecute", tolerationSeconds: 60 },
      ],
    },
  ],
  [
    "every operator on nodes",
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: "gpu", operator: "In", values: ["l4"] },
                  { key: "gpu", operator: "NotIn", values: ["t4"] },
                  { key: "example.com/gpu", operator: "Exists" },
                  { key: "slow", operator: "DoesNotExist", values: [] },
                  { key: "cores", operator: "Gt", values: ["8"] },
                ],
              },
            ],
          },
        },
      },
    },
  ],
  [
    "resources of every sort",
    {
      resources: {
        requests: { cpu: "1", memory: "1Gi", "ephemeral-storage": "1Gi" },
        limits: { "nvidia.com/mig-1g.5gb": 1, memory: "1Gi" },
      },
    },
  ],
];

const byRule: readonly [name: string, pod: object, refused: string][] = [
  ["a toleration of no key", { tolerations: [{ effect: "NoSchedule" }] }, "toleration: set key"],
  [
    "a toleration that compares a value with Exists",
    { tolerations: [{ key: "gpu", operator: "Exists", value: "l4" }] },
    "toleration: Exists compares no value",
  ],
  [
    "a time for a taint that evicts nobody",
    { tolerations: [{ key: "gpu", operator: "Exists", effect: "NoSchedule", tolerationSeconds: 60 }] },
    "toleration: tolerationSeconds goes with",
  ],
  ["nodes in no value", { affinity: nodes({ operator: "In" }) }, "affinity: Exists and DoesNotExist"],
  ["nodes above nothing", { affinity: nodes({ operator: "Gt" }) }, "affinity: Exists and DoesNotExist"],
  [
    "nodes that have a label with values",
    { affinity: nodes({ operator: "Exists", values: ["a"] }) },
    "affinity: Exists and DoesNotExist",
  ],
  ["pods in no value", { affinity: pods({ operator: "NotIn" }) }, "affinity: Exists and DoesNotExist"],
  [
    "pods that lack a label with values",
    { affinity: pods({ operator: "DoesNotExist", values: ["a"] }) },
    "affinity: Exists and DoesNotExist",
  ],
  ["a resource of no domain", { resources: { limits: { gpu: 1 } } }, "a key is not valid: write cpu"],
  ["a label key of two dots", { nodeSelector: { "a..b/c": "d" } }, "a key is not valid"],
];

const bySchema: readonly [name: string, pod: object][] = [
  ["a key of a Secret that is a space", { env: secretKey(" ") }],
  ["a key of a Secret that is a folder", { env: secretKey("..") }],
  ["a key of a Secret that climbs", { env: secretKey("..data") }],
  ["a key of a Secret with a slash", { env: secretKey("a/b") }],
  [
    "a key of a ConfigMap that is a space",
    { env: [{ ...one, valueFrom: { configMapKeyRef: { name: "mine", key: " " } } }] },
  ],
  [
    "a Secret whose name has two dots",
    { env: [{ ...one, valueFrom: { secretKeyRef: { name: "a..b", key: "c" } } }] },
  ],
  ["a service account whose name ends a label with a dash", { serviceAccountName: "a-.b" }],
  ["a taint's key with a space", { tolerations: [{ key: "a b", operator: "Exists" }] }],
  ["a taint's value with a space", { tolerations: [{ key: "a", value: "b c" }] }],
  ["a value of a node's label with a space", { affinity: nodes({ operator: "In", values: ["b c"] }) }],
  ["an order on pods", { affinity: pods({ operator: "Gt", values: ["1"] }) }],
];

export const podSettingsCases: readonly AdmissionCase[] = [
  ...accepted.map(([name, pod]) => ({ name, spec: { model, pod } })),
  ...byRule.map(([name, pod, refused]) => ({ name, spec: { model, pod }, refused })),
  ...bySchema.map(([name, pod]) => ({ name, spec: { model, pod }, refused: "", bySchema: true as const })),
  {
    name: "a key of certificates that is a space",
    spec: { model: { ...model, caBundle: { configMapName: "ca", key: " " } } },
    refused: "",
    bySchema: true,
  },
];
