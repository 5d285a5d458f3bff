import type { ModelServingSpec } from "../../crds/model-serving.ts";
import type { RouterReport, TrackReport } from "../../lib/config/router.ts";
import { LATENCY_BOUNDS_MS, merge, quantile } from "../../lib/telemetry/histogram.ts";

export type Analysis = NonNullable<ModelServingSpec["canary"]>["analysis"];

/** What a step is judged by: what the routers counted since all of them applied it. */
export interface Evidence {
  readonly analysis: Analysis;
  /** Weight of the step. */
  readonly weightPercent: number;
  /** Reports of the step's own generation. */
  readonly reports: readonly RouterReport[];
  readonly canary: string;
  readonly stable: string;
  /** Of the canary's serving containers. */
  readonly restarts: number;
  /** Pods of the canary that are ready; infinite where it needs none of its own. */
  readonly ready: number;
}

export interface Numbers {
  readonly requests: number;
  readonly errorPerMille: number;
  readonly p99Milliseconds?: number;
  readonly stableP99Milliseconds?: number;
  readonly mirrored?: number;
  readonly divergencePerMille?: number;
  readonly restarts: number;
}

export interface Verdict {
  /** Inconclusive: too little was seen; the step holds. */
  readonly result: "Pass" | "Fail" | "Inconclusive";
  /** CamelCase; of what failed, or of what is waited for. */
  readonly reason: string;
  readonly message: string;
}

/** What both revisions did in the step, added up over all routers. */
interface Seen {
  readonly canary: Totals;
  readonly stable: Totals;
}

interface Totals {
  readonly requests: number;
  readonly errors: number;
  readonly mirrored: number;
  readonly diverged: number;
  readonly mirrorErrors: number;
  readonly latencyCounts: readonly number[];
}

type Check = (evidence: Evidence, seen: Seen) => Verdict | undefined;

/**
 * The checks of a step, in this order; the first that has something to say decides. Those that can't wait come
 * first: they need no number of requests, since what they see is not a matter of chance.
 */
const checks: readonly Check[] = [
  restarted, // A server that crashed once will again.
  notReady, // Nobody answers the requests that the step sends there.
  tooFewRequests, // Before this many answers a rate is noise: hold.
  tooManyErrors, // What clients got, as the routers saw it.
  tooSlow, // Against the limit.
  slowerThanStable, // Against the stable revision in the same minutes: load on the cluster hits both.
  answersDiffer, // Answers to the same requests, compared by the routers.
];

/** Judges a step. Pure: the same evidence has the same verdict. */
export function judge(evidence: Evidence): Verdict {
  const seen = sum(evidence);
  for (const check of checks) {
    const verdict = check(evidence, seen);
    if (verdict !== undefined) return verdict;
  }
  return { result: "Pass", reason: "AnalysisPassed", message: "every check of the step passed" };
}

/** What the verdict was made of, for status. */
export function numbersOf(evidence: Evidence): Numbers {
  const { canary, stable } = sum(evidence);
  const p99 = milliseconds(quantile(canary.latencyCounts, 0.99));
  const stableP99 = milliseconds(quantile(stable.latencyCounts, 0.99));
  const compared = evidence.analysis.divergence !== undefined;
  return {
    requests: canary.requests,
    errorPerMille: perMille(errorsOf(canary), answersOf(canary)),
    ...(p99 === undefined ? {} : { p99Milliseconds: p99 }),
    ...(stableP99 === undefined ? {} : { stableP99Milliseconds: stableP99 }),
    ...(compared
      ? { mirrored: comparedOf(canary), divergencePerMille: perMille(canary.diverged, comparedOf(canary)) }
      : {}),
    restarts: evidence.restarts,
  };
}

/** 97.5 % of a normal distribution lies below it: the bound of a two-sided 95 % interval. */
const Z = 1.96;

/** Lower end of Wilson's 95 % interval for a share of which `hits` of `trials` were seen. */
function wilsonLower(hits: number, trials: number): number {
  if (trials === 0) return 0;
  const share = hits / trials;
  const z2 = Z * Z;
  const centre = share + z2 / (2 * trials);
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials));
  return Math.max(0, (centre - spread) / (1 + z2 / trials));
}

function restarted({ analysis, restarts }: Evidence): Verdict | undefined {
  if (restarts <= analysis.maxRestarts) return undefined;
  return fail(
    "CanaryRestarted",
    `the canary's containers restarted ${restarts} times, ${analysis.maxRestarts} allowed`,
  );
}

function notReady({ weightPercent, ready }: Evidence): Verdict | undefined {
  if (ready > 0) return undefined;
  if (weightPercent === 0) return hold("CanaryNotReady", "no pod of the canary is ready");
  return fail(
    "CanaryNotReady",
    `no pod of the canary is ready, and ${weightPercent} % of the requests go there`,
  );
}

function tooFewRequests({ analysis }: Evidence, { canary }: Seen): Verdict | undefined {
  const answers = answersOf(canary);
  if (answers >= analysis.minRequests) return undefined;
  return hold("TooFewRequests", `the canary has answered ${answers} of ${analysis.minRequests} requests`);
}

function tooManyErrors({ analysis }: Evidence, { canary }: Seen): Verdict | undefined {
  const errors = errorsOf(canary);
  const answers = answersOf(canary);
  if (errors * 1000 <= analysis.maxErrorPerMille * answers) return undefined;
  return fail(
    "TooManyErrors",
    `${errors} of ${answers} requests failed (${perMille(errors, answers)} ‰), ${analysis.maxErrorPerMille} ‰ allowed`,
  );
}

function tooSlow({ analysis }: Evidence, { canary }: Seen): Verdict | undefined {
  const limit = analysis.maxP99Milliseconds;
  const p99 = quantile(canary.latencyCounts, 0.99);
  if (limit === undefined || p99 === undefined || p99 <= limit) return undefined;
  return fail("TooSlow", `p99 is ${shown(p99)} ms, ${limit} ms allowed`);
}

function slowerThanStable(
  { analysis, weightPercent }: Evidence,
  { canary, stable }: Seen,
): Verdict | undefined {
  const limit = analysis.maxP99IncreasePercent;
  if (limit === undefined) return undefined;
  if (stable.requests < analysis.minRequests) {
    // Up to half, the stable revision gets as many soon. Beyond it may never, and at 100 % it gets none.
    return weightPercent <= 50
      ? hold(
          "TooFewStableRequests",
          `the stable revision has answered ${stable.requests} of ${analysis.minRequests} requests to compare with`,
        )
      : undefined;
  }
  const p99 = quantile(canary.latencyCounts, 0.99);
  const before = quantile(stable.latencyCounts, 0.99);
  if (p99 === undefined || before === undefined || p99 <= before * (1 + limit / 100)) return undefined;
  return fail(
    "SlowerThanStable",
    `p99 is ${shown(p99)} ms beside ${shown(before)} ms of the stable revision, ${limit} % more allowed`,
  );
}

function answersDiffer(evidence: Evidence, { canary }: Seen): Verdict | undefined {
  const { analysis, weightPercent } = evidence;
  const { divergence } = analysis;
  if (divergence === undefined) return undefined;
  const { diverged } = canary;
  const mirrored = comparedOf(canary);
  // With few answers compared, only a share that is above the limit beyond chance is held against the canary.
  const share = mirrored >= analysis.minRequests ? diverged / mirrored : wilsonLower(diverged, mirrored);
  if (share * 1000 > divergence.maxPerMille) {
    return fail(
      "AnswersDiffer",
      `${diverged} of ${mirrored} mirrored answers differed (${perMille(diverged, mirrored)} ‰), ${divergence.maxPerMille} ‰ allowed`,
    );
  }
  // Half of what the weights make likely: a mirror that compares next to nothing has shown nothing.
  const likely =
    weightPercent === 0
      ? analysis.minRequests
      : (canary.requests * (100 - weightPercent) * divergence.mirrorPercent) / (weightPercent * 100);
  const needed = Math.min(analysis.minRequests, Math.floor(likely / 2));
  if (mirrored < needed)
    return hold("TooFewCompared", `${mirrored} of ${needed} mirrored answers were compared`);
  return undefined;
}

function sum({ reports, canary, stable }: Evidence): Seen {
  // Buckets can only be added up if they have the same bounds.
  const known = reports.filter(({ latencyBounds }) => sameBounds(latencyBounds));
  const totals = (revision: string): Totals =>
    known
      .flatMap(({ tracks }) => tracks.filter((track) => track.revision === revision))
      .reduce(add, { requests: 0, errors: 0, mirrored: 0, diverged: 0, mirrorErrors: 0, latencyCounts: [] });
  return { canary: totals(canary), stable: totals(stable) };
}

function add(a: Totals, b: TrackReport): Totals {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    mirrored: a.mirrored + b.mirrored,
    diverged: a.diverged + b.diverged,
    mirrorErrors: a.mirrorErrors + b.mirrorErrors,
    latencyCounts: merge(a.latencyCounts, b.latencyCounts),
  };
}

function sameBounds(bounds: readonly number[]): boolean {
  return (
    bounds.length === LATENCY_BOUNDS_MS.length &&
    bounds.every((bound, index) => bound === LATENCY_BOUNDS_MS[index])
  );
}

/** Requests that the canary was asked, mirrored ones included: their clients had the stable revision's answer. */
function answersOf({ requests, mirrored }: Totals): number {
  return requests + mirrored;
}

/** Mirrored requests that both answered: a canary that fails one is counted as an error, not as another answer. */
function comparedOf({ mirrored, mirrorErrors }: Totals): number {
  return mirrored - mirrorErrors;
}

function errorsOf({ errors, mirrorErrors }: Totals): number {
  return errors + mirrorErrors;
}

/** Rounded up: a share that is above its limit must not be shown as the limit. */
function perMille(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.ceil((part * 1000) / whole);
}

function milliseconds(value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  // Beyond all buckets: the last bound is the least that it can be.
  return Number.isFinite(value) ? Math.ceil(value) : (LATENCY_BOUNDS_MS.at(-1) ?? 0);
}

function shown(value: number): string {
  return Number.isFinite(value) ? value.toFixed(1) : `more than ${LATENCY_BOUNDS_MS.at(-1)}`;
}

function fail(reason: string, message: string): Verdict {
  return { result: "Fail", reason, message };
}

function hold(reason: string, message: string): Verdict {
  return { result: "Inconclusive", reason, message };
}
