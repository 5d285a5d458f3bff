import { z } from "zod";
import { annotations, dnsLabel, dnsSubdomain, labels, port } from "../primitives.ts";
import { setOf } from "../rules.ts";

export const traffic = z
  .strictObject({
    router: z
      .enum(["Auto", "Always"])
      .default("Auto")
      .describe(
        "Auto: Naru's router stands before the pods when there is a canary or a graph. Always: in any case.",
      ),
    routerReplicas: z.int().min(1).max(100).default(2).describe("Router pods."),
    hold: z
      .strictObject({
        maxRequests: z
          .int()
          .min(0)
          .max(100_000)
          .default(1000)
          .describe("Most requests held by a router pod while no replica is ready."),
        seconds: z.int().min(1).max(3600).default(60).describe("Longest hold."),
      })
      .prefault({})
      .describe("Requests that wait for the first replica; beyond it the answer is 503 with Retry-After."),
    parentRefs: z
      .array(
        z.strictObject({
          name: dnsSubdomain.describe("Name of the Gateway."),
          namespace: dnsLabel.optional().describe("Its namespace. Absent: this one."),
          sectionName: dnsSubdomain.optional().describe("A listener of it."),
          port: port.optional().describe("A port of it."),
        }),
      )
      .min(1)
      .max(16)
      .optional()
      .describe("Gateways (Gateway API) that carry an HTTPRoute and a GRPCRoute to this model."),
    hostnames: setOf(z.array(dnsSubdomain).max(16)).optional().describe("Host names of those routes."),
    grpcHostnames: setOf(z.array(dnsSubdomain).max(16))
      .optional()
      .describe(
        "Host names of the GRPCRoute. Absent: hostnames; but a Gateway may carry only one of an HTTPRoute and a GRPCRoute that share one.",
      ),
    serviceAnnotations: annotations.optional().describe("Annotations of the Service."),
  })
  .describe("How requests reach the model.");

export const observability = z
  .strictObject({
    serviceMonitor: z
      .strictObject({
        enabled: z.boolean().default(true).describe("Make a ServiceMonitor where its API is installed."),
        labels: labels.optional().describe("Labels that a Prometheus selects it by."),
        intervalSeconds: z.int().min(1).max(3600).default(30).describe("Scrape interval."),
      })
      .optional()
      .describe("Prometheus operator."),
  })
  .describe("Metrics.");

export const networkPolicy = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "Make a NetworkPolicy: serving ports open, the admin port to the operator and to Prometheus' namespace.",
      ),
    allowFromNamespaces: setOf(z.array(dnsLabel).max(64))
      .optional()
      .describe("Namespaces whose pods may reach the serving ports. Absent: all."),
    metricsFromNamespaces: setOf(z.array(dnsLabel).max(64))
      .optional()
      .describe("Namespaces whose pods may read metrics. Absent: all."),
  })
  .describe("Who may connect.");
