import type { ModelServingStatus } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";

/** What status said when it changed, beside what was true. */
export interface Moment {
  /** Milliseconds since the timeline began. */
  readonly at: number;
  readonly generation: number;
  readonly status: ModelServingStatus;
  /** Of the Service. */
  readonly readyEndpoints: number;
}

export function conditionOf(status: ModelServingStatus, type: string): string | undefined {
  return status.conditions?.find((condition) => condition.type === type)?.status;
}

export function momentOf(at: number, serving: KubeObject, readyEndpoints: number): Moment {
  const status = (serving.status ?? {}) as ModelServingStatus;
  return { at, generation: serving.metadata.generation ?? 0, status, readyEndpoints };
}

/** Sentences that can't be true whatever happens, in words that show what was said. */
export function contradictions({ at, generation, status }: Moment): readonly string[] {
  const found: string[] = [];
  const about = (what: string) => found.push(`at ${Math.round(at)} ms: ${what}: ${JSON.stringify(status)}`);
  const is = (type: string) => conditionOf(status, type);
  if ((status.observedGeneration ?? 0) > generation) about("status speaks of a generation to come");
  for (const { observedGeneration = 0, type } of status.conditions ?? []) {
    if (observedGeneration > (status.observedGeneration ?? 0)) about(`${type} is ahead of its status`);
  }
  if (is("Ready") === "True" && (status.readyReplicas ?? 0) === 0) about("Ready without a ready replica");
  if (is("RolloutComplete") === "True" && status.canary !== undefined) about("complete, with a canary");
  return found;
}

/** A line a change, for the failure's message. */
export function shown(moments: readonly Moment[]): string {
  return moments
    .map(({ at, generation, status, readyEndpoints }) => {
      const conditions = status.conditions?.map(
        ({ type, status: value, reason }) => `${type}=${value}(${reason})`,
      );
      const canary =
        status.canary === undefined ? "" : ` canary=${status.canary.phase} ${status.canarySummary}`;
      return `${Math.round(at)} ms g${generation} endpoints=${readyEndpoints}${canary} ${conditions?.join(" ")}`;
    })
    .join("\n");
}
