import { z } from "zod";
import { type RouterConfig, type RouterTrack, routerConfig } from "../../lib/config/router.ts";
import { NaruError } from "../../lib/errors.ts";
import { invalidGraph, refuseUnsound } from "./graph/checked.ts";

/** @throws NaruError InvalidConfig (400), naming the fields. */
export function parseConfig(document: unknown): RouterConfig {
  const parsed = routerConfig.safeParse(document);
  if (parsed.success) return parsed.data;
  throw invalidConfig(z.prettifyError(parsed.error).replaceAll("\n", " "));
}

/**
 * What the schema can't say: one target a track, weights that sum to a whole, graphs that can be run.
 *
 * @throws NaruError InvalidConfig or InvalidGraph (400).
 */
export function refuseInconsistent(config: RouterConfig): void {
  refuseTrack("stable", config.stable);
  if (config.canary === undefined) return;
  refuseTrack("canary", config.canary);
  const total = config.stable.weightPercent + config.canary.weightPercent;
  if (total !== 100)
    throw invalidConfig(`the weights of stable and canary sum to ${total} percent, not to 100`);
}

function refuseTrack(name: string, track: RouterTrack): void {
  if ((track.backend === undefined) === (track.graph === undefined)) {
    throw invalidConfig(`${name}: exactly one of backend and graph is needed`);
  }
  if (track.graph === undefined) return;
  try {
    refuseUnsound(track.graph);
  } catch (error) {
    if (!(error instanceof NaruError)) throw error;
    throw invalidGraph(`${name}: ${error.message}`, error.remedy);
  }
}

function invalidConfig(message: string): NaruError {
  return new NaruError({
    code: "InvalidConfig",
    message: `router configuration: ${message}`,
    remedy: "the operator writes it: check that it and the runtime image are of one release",
    status: 400,
  });
}
