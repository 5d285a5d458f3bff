import type { EngineMetrics } from "../engine/metrics.ts";
import type { Handler } from "./http.ts";

/** Something that can be wrong with the operator. */
export interface Check {
  readonly name: string;
  /** What is wrong; undefined while nothing is. */
  problem(): string | undefined;
}

/** Answers 200 while nothing is wrong, else 503, with a line for each check as Kubernetes' own programs have it. */
export function healthPath(checks: readonly Check[]): Handler {
  return (response) => {
    const found = checks.map((check) => ({ name: check.name, problem: check.problem() }));
    const lines = found.map(({ name, problem }) =>
      problem === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${problem}\n`,
    );
    const well = found.every(({ problem }) => problem === undefined);
    response.writeHead(well ? 200 : 503, { "content-type": "text/plain; charset=utf-8" }).end(lines.join(""));
  };
}

/** A check that fails while a loop has not gone round for longer than `limit` milliseconds. */
export function loopCheck(name: string, limit: number, idle: () => number): Check {
  return {
    name,
    problem() {
      const since = idle();
      return since > limit ? `nothing has happened for ${Math.round(since / 1000)} s` : undefined;
    },
  };
}

/** Seconds within which a reconcile ends even when each of its requests takes its 30 s: beyond, it never will. */
const LONGEST_RECONCILE = 900;

/** Metrics that also let a reconcile be found that does not end. */
export function watched(metrics: EngineMetrics): { metrics: EngineMetrics; check: Check } {
  const inWork = new Map<string, () => { longest: number }>();
  return {
    metrics: {
      ...metrics,
      controller(name, concurrency, asked) {
        inWork.set(name, asked);
        return metrics.controller(name, concurrency, asked);
      },
    },
    check: {
      name: "reconciles",
      problem() {
        for (const [name, asked] of inWork) {
          const { longest } = asked();
          if (longest > LONGEST_RECONCILE) return `one of ${name} has run for ${Math.round(longest)} s`;
        }
        return undefined;
      },
    },
  };
}
