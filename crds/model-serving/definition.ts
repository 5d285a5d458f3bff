import type { KindDefinition } from "../manifest.ts";

/** What ModelServing says of itself beside its schema; apart from it, since a table needs no zod. */
export const modelServingDefinition = {
  group: "naru.dev",
  version: "v1alpha1",
  kind: "ModelServing",
  plural: "modelservings",
  singular: "modelserving",
  shortNames: ["msv"],
  categories: ["naru"],
  description: "Serves one model, or a graph of models, in the cloud, on robots, or both.",
  scale: {
    specReplicasPath: ".spec.replicas",
    statusReplicasPath: ".status.replicas",
    labelSelectorPath: ".status.selector",
  },
  columns: [
    {
      name: "Ready",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      description: "Whether it was seen to serve.",
    },
    {
      name: "Model",
      type: "string",
      jsonPath: ".status.model",
      description: "First eight digits of the digest of the model that serves.",
    },
    { name: "Revision", type: "string", jsonPath: ".status.revision", description: "The stable revision." },
    {
      name: "Canary",
      type: "string",
      jsonPath: ".status.canarySummary",
      description: "Weight and step of the rollout under way.",
    },
    {
      name: "URL",
      type: "string",
      jsonPath: ".status.url",
      description: "Address of the V2 protocol over REST.",
    },
    {
      name: "Age",
      type: "date",
      jsonPath: ".metadata.creationTimestamp",
      description: "Time since it was created.",
    },
    {
      name: "Replicas",
      type: "integer",
      jsonPath: ".status.readyReplicas",
      description: "Pods of the stable revision that are ready.",
      priority: 1,
    },
    {
      name: "Reason",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      description: "Reason of the Ready condition.",
      priority: 1,
    },
  ],
} as const satisfies KindDefinition;
