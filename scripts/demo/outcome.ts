/** What the demo has shown when it ends. */
export interface Outcome {
  readonly requests: number;
  readonly lost: number;
  /** Of the version that serves at the end, over the whole held-out set; undefined where it was not measured. */
  readonly accuracy?: number;
  readonly promoted: boolean;
  /** Every broken version went back for the reason that it should, and what served before serves as it did. */
  readonly rolledBack: boolean;
  readonly seconds: number;
}

/** The demo's last line, for scripts. */
export function outcomeLine(outcome: Outcome): string {
  return [
    "demo:",
    `requests=${outcome.requests}`,
    `lost=${outcome.lost}`,
    `accuracy=${(outcome.accuracy ?? 0).toFixed(3)}`,
    `canary=${outcome.promoted ? "promoted" : "failed"}`,
    `rollback=${outcome.rolledBack ? "ok" : "failed"}`,
    `seconds=${Math.ceil(outcome.seconds)}`,
  ].join(" ");
}

/** 0 only where everything went as it should and nothing was lost. */
export function exitCodeOf({ promoted, rolledBack, requests, lost }: Outcome): number {
  return promoted && rolledBack && requests > 0 && lost === 0 ? 0 : 1;
}
