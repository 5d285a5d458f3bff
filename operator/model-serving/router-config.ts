import type { z } from "zod";
import { routerConfig } from "../../lib/config/router.ts";
import { canonicalJson, shortHash } from "../engine/canonical.ts";
import { httpConfigOf } from "./connections.ts";
import { type Defined, defined } from "./defined.ts";
import type { Graph, GraphNode } from "./model-source.ts";
import { backendOf, SERVICE_PORTS, serviceHost, stepName, type Track, trackServiceName } from "./names.ts";
import type { CanaryStatus, Plan, Situation } from "./plan.ts";
import type { Revision } from "./revision.ts";

/**
 * What routers are sent: without the schema's defaults. Routers refuse fields that they do not know, as they should where
 * somebody asked for one; and they keep the image that they began with, over upgrades of the operator. A default that a
 * later release adds is asked for by nobody, and must reach none of them.
 */
export type SentConfig = Defined<z.input<typeof routerConfig>>;
type TrackInput = SentConfig["stable"];

/** Whether the routers are to know of the canary: it is asked for, and not yet taken back. */
export function isRouted(canary: CanaryStatus, stable: Revision | undefined): boolean {
  if (canary.wantedWeightPercent === undefined || canary.phase === "Starting") return false;
  // Without pods it is left out altogether: a router waits for the nodes of every graph that it is told of.
  if (canary.heldWeightPercent !== undefined) return false;
  if (canary.phase === "RollingBack") return canary.wantedWeightPercent > 0;
  if (canary.phase === "Promoting" && canary.wantedWeightPercent === 0) return false;
  // Promoted: the stable track is of the same revision by now and takes the requests back.
  return canary.revision !== stable?.name;
}

/**
 * The configuration that every router is to have, named by its content and by the step that it is for. It has no
 * number yet: `numbered` gives it one.
 */
export function routerConfigOf(
  situation: Situation,
  plan: Pick<Plan, "stable" | "serving" | "canary">,
): SentConfig {
  const { spec, name, connections } = situation;
  const stable = plan.stable ?? plan.serving;
  const { canary } = plan;
  const revision =
    canary !== undefined && isRouted(canary, plan.stable) ? situation.revision(canary.revision) : undefined;
  const weightPercent = revision === undefined ? 0 : (canary?.wantedWeightPercent ?? 0);
  const divergence = spec.canary?.analysis.divergence;
  const { autoscaling, traffic } = spec;
  const content = defined({
    model: name,
    stable: trackOf(situation, "stable", stable, 100 - weightPercent),
    canary: revision === undefined ? undefined : trackOf(situation, "canary", revision, weightPercent),
    mirror:
      revision === undefined || divergence === undefined
        ? undefined
        : {
            percent: divergence.mirrorPercent,
            compare: divergence.compare,
            tolerance: Number(divergence.tolerance),
          },
    hold:
      autoscaling?.minReplicas === 0
        ? { maxRequests: traffic?.hold.maxRequests ?? 1000, seconds: traffic?.hold.seconds ?? 60 }
        : undefined,
    requestTimeoutMilliseconds: connections.requestTimeoutMilliseconds,
    maxRequestBytes: connections.maxRequestBytes,
    http: httpConfigOf(connections),
  });
  const again = canary?.interruptions;
  // Counters begin anew with each generation, so two windows of equal weight must not share a name.
  const window =
    revision === undefined
      ? []
      : [canary?.startedAt, canary?.attempt, canary?.step, ...(again === undefined ? [] : [again])];
  const config = { generation: shortHash(canonicalJson([content, window])), ...content };
  // Refused here, by whoever changed this file, rather than by every router.
  routerConfig.parse(config);
  return config;
}

function trackOf(situation: Situation, track: Track, revision: Revision, weightPercent: number): TrackInput {
  const { name, namespace, observed } = situation;
  const { input } = revision;
  const base = { revision: revision.name, weightPercent };
  if (input.graph !== undefined) {
    return { ...base, graph: graphOf(situation, track, input.graph) };
  }
  const backend = backendOf(trackServiceName(name, track), namespace, observed.settings, input.protocols);
  return { ...base, backend };
}

function graphOf(situation: Situation, track: Track, graph: Graph): NonNullable<TrackInput["graph"]> {
  return defined({
    entry: graph.entry,
    nodes: graph.nodes.map((node) => ({
      name: node.name,
      ...nodeBackend(situation, track, node),
      combine: node.combine,
      routing: node.routing,
    })),
    edges: (graph.edges ?? []).map(({ from, to, tensors, when, weightPercent }) => ({
      from,
      to,
      tensors,
      weightPercent,
      when:
        when === undefined
          ? undefined
          : {
              parameter: when.parameter,
              output: when.output,
              equals: when.equals,
              lessThan: when.lessThan === undefined ? undefined : Number(when.lessThan),
              atLeast: when.atLeast === undefined ? undefined : Number(when.atLeast),
            },
    })),
  });
}

function nodeBackend(situation: Situation, track: Track, node: GraphNode) {
  const { name, namespace, observed } = situation;
  const { settings } = observed;
  if (node.model !== undefined) {
    const backend = backendOf(trackServiceName(name, track), namespace, settings, { grpc: true });
    return { backend, model: node.name };
  }
  if (node.container !== undefined) {
    const grpc = node.container.grpcPort !== undefined;
    const backend = backendOf(stepName(name, node.name, track), namespace, settings, { grpc });
    return { backend, model: node.modelName ?? node.name };
  }
  if (node.serving !== undefined) {
    const host = serviceHost(node.serving, namespace, settings);
    const backend = {
      http: `http://${host}:${SERVICE_PORTS.http}`,
      grpc: `http://${host}:${SERVICE_PORTS.grpc}`,
    };
    return { backend, model: node.modelName ?? node.serving };
  }
  return {};
}
