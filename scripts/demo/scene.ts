import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { Recent } from "./recent.ts";

/** A part of the story: what is done, and how far it is. */
export interface Act {
  readonly title: string;
  readonly state: "Waiting" | "UnderWay" | "Done" | "Failed";
  /** What is going on, or how it ended. */
  readonly detail: string;
}

/** Everything that the view shows of one moment. */
export interface Scene {
  readonly seconds: number;
  /** Undefined before the model serves. */
  readonly address?: string;
  readonly acts: readonly Act[];
  /** Version that serves, and how the requests are split while another one is tried. */
  readonly split?: Split;
  readonly recent: Recent;
  /** Highest latency in a hundred of each second, the newest last. */
  readonly history: readonly number[];
  readonly sent: number;
  readonly lost: number;
}

export interface Split {
  readonly stable: string;
  readonly canary?: { readonly version: string; readonly weightPercent: number };
}

/** @param versionOf names a version by the digest of its model */
export function splitOf(
  { modelDigest, canary }: ModelServingStatus,
  versionOf: (digest: string | undefined) => string,
): Split {
  if (canary === undefined) return { stable: versionOf(modelDigest) };
  const { weightPercent } = canary;
  return {
    stable: versionOf(modelDigest),
    canary: { version: versionOf(canary.modelDigest), weightPercent },
  };
}

/** A rollout under way in a few words. */
export function progressText({ canary, conditions }: ModelServingStatus): string {
  if (canary === undefined)
    return conditions?.find(({ type }) => type === "Progressing")?.message ?? "being looked at";
  switch (canary.phase) {
    case "Starting":
      return "its pods start";
    case "Stepping":
    case "Paused":
      return `step ${canary.step + 1} of ${canary.steps}: ${stepText(canary)}`;
    case "Promoting":
      return `promoting: ${canary.weightPercent} %; ${canary.message ?? ""}`;
    case "RollingBack":
      return "taking the requests back";
  }
}

function stepText(canary: NonNullable<ModelServingStatus["canary"]>): string {
  if (canary.stepStartedAt === undefined) return canary.message ?? "about to begin";
  const parts = [canary.weightPercent === 0 ? "mirrored requests only" : `${canary.weightPercent} %`];
  if (canary.weightPercent > 0) parts.push(`${canary.requests} answered`);
  if (canary.mirrored !== undefined)
    parts.push(`${canary.mirrored} compared, ${canary.divergencePerMille ?? 0} ‰ differ`);
  parts.push(`${canary.errorPerMille} ‰ errors`);
  if (canary.p99Milliseconds !== undefined) parts.push(`p99 ${canary.p99Milliseconds} ms`);
  return parts.join(", ");
}
