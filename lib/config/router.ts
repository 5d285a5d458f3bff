import { z } from "zod";
import { httpConfig } from "./inference.ts";

/**
 * What the operator tells a router: as `router.json` in NARU_CONFIG_DIR when it starts, and from then on by
 * `PUT /naru/config` on its admin port, since a mounted ConfigMap reaches a pod only after 60 to 90 s.
 *
 * A field that a router does not know is refused, since it can't do what is asked for. Routers outlive upgrades of the
 * operator, which therefore sends no field that nobody asked for: what is added here is optional.
 */

/** Where a revision or a node answers: a Service by name, as `http://digits-stable.default.svc:80`. */
const backend = z.strictObject({ http: z.url(), grpc: z.url().optional() });

const condition = z.strictObject({
  /** A request parameter (V2 `parameters`) or an output of the node that the edge leaves; one of the two. */
  parameter: z.string().optional(),
  output: z.string().optional(),
  equals: z.string().optional(),
  /** Decimal numbers; compared with the output's first element. */
  lessThan: z.number().optional(),
  atLeast: z.number().optional(),
});

export const routerGraph = z.strictObject({
  entry: z.string(),
  nodes: z
    .array(
      z.strictObject({
        name: z.string(),
        /** A model behind `backend`; absent for a node that only combines. */
        backend: backend.optional(),
        /** The model's name at the backend. */
        model: z.string().optional(),
        /** Combines tensors of one name that arrive over several edges. */
        combine: z.enum(["Mean", "Max"]).optional(),
        /** All: every edge that leaves is followed. Switch: the first whose condition holds, else the one without. Splitter: one, by weight. */
        routing: z.enum(["All", "Switch", "Splitter"]).default("All"),
      }),
    )
    .min(1)
    .max(32),
  edges: z
    .array(
      z.strictObject({
        from: z.string(),
        to: z.string(),
        /** Renames; an output that is not named keeps its name. Source Request: a tensor of the request itself. */
        tensors: z
          .array(
            z.strictObject({
              from: z.string(),
              to: z.string(),
              source: z.enum(["Output", "Request"]).optional(),
            }),
          )
          .max(64)
          .default([]),
        when: condition.optional(),
        weightPercent: z.int().min(0).max(100).optional(),
      }),
    )
    .max(128)
    .default([]),
});

export const routerTrack = z.strictObject({
  revision: z.string(),
  weightPercent: z.int().min(0).max(100),
  /** One of the two. */
  backend: backend.optional(),
  graph: routerGraph.optional(),
});

/** A change a second for 68 years. */
export const MAX_SEQUENCE = 2 ** 31 - 1;

export const routerConfig = z.strictObject({
  /** Names this content: a router reports the generation that it applies, and counts apart for each. */
  generation: z.string().min(1),
  /**
   * Rises with each content that the operator writes, so that a router can tell an older configuration from a newer one
   * by whatever way it comes. No two contents of one ModelServing share a number. 0: a file that a person wrote.
   */
  sequence: z.int().min(0).max(MAX_SEQUENCE).default(0),
  /** The ModelServing's name, which is the model's name in V2 URLs. */
  model: z.string().min(1),
  /** The models that a backend also answers for by their own names (several models in one server). */
  stable: routerTrack,
  canary: routerTrack.optional(),
  /** A share of the stable revision's requests is sent to the canary too, compared, and its answer thrown away. */
  mirror: z
    .strictObject({
      percent: z.int().min(0).max(100),
      compare: z.enum(["Argmax", "Values"]),
      /** Values: |a − b| ≤ tolerance × max(1, |a|) for every element. */
      tolerance: z.number().min(0).default(0.001),
    })
    .optional(),
  /** Requests held while no backend is ready (scale from zero); beyond it, or after the time, 503 + Retry-After. */
  hold: z.strictObject({ maxRequests: z.int().min(0), seconds: z.int().min(1) }).optional(),
  /** One deadline for the request, however many nodes it passes. */
  requestTimeoutMilliseconds: z.int().min(1).default(30_000),
  maxRequestBytes: z
    .int()
    .min(1024)
    .default(64 * 1024 * 1024),
  /**
   * Bytes of requests' bodies held at once, over all connections; beyond it 503 + Retry-After. By default a quarter of
   * the container's memory. Never below three times maxRequestBytes.
   */
  maxHeldBytes: z.int().min(1).optional(),
  http: httpConfig.prefault({}),
});

/** What a router saw of one revision since it applied the generation. */
export const trackReport = z.object({
  revision: z.string(),
  requests: z.int(),
  /** Answers ≥ 500, connections that failed, deadlines that passed. A client's own mistake (4xx) is none. */
  errors: z.int(),
  /** Requests per bucket of `latencyBounds`, the last one beyond all bounds. */
  latencyCounts: z.array(z.int()),
  mirrored: z.int(),
  diverged: z.int(),
  /** Mirrored requests that the canary failed to answer. */
  mirrorErrors: z.int(),
});

/**
 * `GET /naru/status` on the router's admin port. A router keeps its image over an operator's step back, so it may be of a
 * later release than who asks: what it says beyond this is left out.
 */
export const routerReport = z.object({
  generation: z.string(),
  /** Of the configuration that was accepted last, applied or not yet; a router of an earlier release does not say. */
  sequence: z.int().optional(),
  /** Takes new requests: configuration valid, backends' metadata fit. */
  ready: z.boolean(),
  problem: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
  /** Upper bounds in milliseconds, rising. */
  latencyBounds: z.array(z.number()),
  tracks: z.array(trackReport),
  /** Requests held for want of a ready backend, now. */
  held: z.int(),
  /** Requests in flight, now. */
  inFlight: z.int(),
  /** Milliseconds since the last request came; null when none has. */
  idleMilliseconds: z.number().nullable(),
  /** Pushes refused since the router began, by code; a router of an earlier release does not say. */
  refusedPushes: z.record(z.string(), z.int()).optional(),
});

export type RouterConfig = z.output<typeof routerConfig>;
export type RouterGraph = z.output<typeof routerGraph>;
export type RouterTrack = z.output<typeof routerTrack>;
export type RouterReport = z.output<typeof routerReport>;
export type TrackReport = z.output<typeof trackReport>;
