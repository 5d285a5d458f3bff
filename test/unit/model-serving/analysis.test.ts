import { describe, expect, test } from "vitest";
import type { RouterReport, TrackReport } from "../../../lib/config/router.ts";
import { emptyCounts, LATENCY_BOUNDS_MS, record } from "../../../lib/telemetry/histogram.ts";
import { type Evidence, judge, numbersOf } from "../../../operator/model-serving/analysis.ts";

function track(revision: string, fields: Partial<TrackReport> & { milliseconds?: number } = {}): TrackReport {
  const { milliseconds = 10, ...rest } = fields;
  const latencyCounts = emptyCounts();
  for (let request = 0; request < (rest.requests ?? 0); request++) record(latencyCounts, milliseconds);
  return {
    revision,
    requests: 0,
    errors: 0,
    mirrored: 0,
    diverged: 0,
    mirrorErrors: 0,
    latencyCounts,
    ...rest,
  };
}

const report = (...tracks: TrackReport[]): RouterReport => ({
  generation: "g",
  ready: true,
  latencyBounds: [...LATENCY_BOUNDS_MS],
  tracks,
  held: 0,
  inFlight: 0,
  idleMilliseconds: 0,
});

const divergence = { mirrorPercent: 100, maxPerMille: 50, compare: "Argmax", tolerance: "0.001" } as const;

function evidence(fields: Partial<Evidence> & { rules?: Partial<Evidence["analysis"]> }): Evidence {
  const { rules, ...rest } = fields;
  return {
    analysis: { minRequests: 100, maxErrorPerMille: 10, maxRestarts: 0, ...rules },
    weightPercent: 50,
    reports: [report(track("new", { requests: 200 }), track("old", { requests: 200 }))],
    canary: "new",
    stable: "old",
    restarts: 0,
    ready: 1,
    ...rest,
  };
}

const cases: [string, Parameters<typeof evidence>[0], string, string][] = [
  ["enough good answers", {}, "Pass", "AnalysisPassed"],
  ["a restart, whatever the requests", { restarts: 1, reports: [] }, "Fail", "CanaryRestarted"],
  ["a restart that is allowed", { restarts: 1, rules: { maxRestarts: 1 } }, "Pass", "AnalysisPassed"],
  ["no pod ready while it gets requests", { ready: 0 }, "Fail", "CanaryNotReady"],
  ["no pod ready while it gets none", { ready: 0, weightPercent: 0 }, "Inconclusive", "CanaryNotReady"],
  [
    "one answer too few, all failed",
    { reports: [report(track("new", { requests: 99, errors: 99 }))] },
    "Inconclusive",
    "TooFewRequests",
  ],
  [
    "answers of two routers together",
    { reports: [report(track("new", { requests: 50 })), report(track("new", { requests: 50 }))] },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "errors at the limit",
    { reports: [report(track("new", { requests: 200, errors: 2 }))] },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "errors above the limit",
    { reports: [report(track("new", { requests: 200, errors: 3 }))] },
    "Fail",
    "TooManyErrors",
  ],
  [
    "errors of the stable revision only",
    { reports: [report(track("new", { requests: 200 }), track("old", { requests: 200, errors: 200 }))] },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "mirrored requests that failed",
    { weightPercent: 0, reports: [report(track("new", { mirrored: 200, mirrorErrors: 3 }))] },
    "Fail",
    "TooManyErrors",
  ],
  [
    "p99 above the limit",
    {
      rules: { maxP99Milliseconds: 50 },
      reports: [report(track("new", { requests: 200, milliseconds: 200 }))],
    },
    "Fail",
    "TooSlow",
  ],
  [
    "p99 beyond every bucket",
    {
      rules: { maxP99Milliseconds: 3_600_000 },
      reports: [report(track("new", { requests: 200, milliseconds: 9e6 }))],
    },
    "Fail",
    "TooSlow",
  ],
  [
    "p99 above the stable revision's",
    {
      rules: { maxP99IncreasePercent: 50 },
      reports: [report(track("new", { requests: 200, milliseconds: 40 }), track("old", { requests: 200 }))],
    },
    "Fail",
    "SlowerThanStable",
  ],
  [
    "too few stable answers to compare with",
    {
      rules: { maxP99IncreasePercent: 50 },
      reports: [report(track("new", { requests: 200 }), track("old", { requests: 99 }))],
    },
    "Inconclusive",
    "TooFewStableRequests",
  ],
  [
    "no stable answers at full weight",
    {
      weightPercent: 100,
      rules: { maxP99IncreasePercent: 50 },
      reports: [report(track("new", { requests: 200 }))],
    },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "answers that differ",
    {
      rules: { divergence },
      reports: [report(track("new", { requests: 200, mirrored: 200, diverged: 11 }))],
    },
    "Fail",
    "AnswersDiffer",
  ],
  [
    "answers that differ as often as allowed",
    {
      rules: { divergence },
      reports: [report(track("new", { requests: 200, mirrored: 200, diverged: 10 }))],
    },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "few answers compared, all of them different",
    {
      weightPercent: 95,
      rules: { divergence },
      reports: [report(track("new", { requests: 200, mirrored: 4, diverged: 4 }))],
    },
    "Fail",
    "AnswersDiffer",
  ],
  [
    "few answers compared, one of them different",
    {
      weightPercent: 95,
      rules: { divergence },
      reports: [report(track("new", { requests: 200, mirrored: 5, diverged: 1 }))],
    },
    "Pass",
    "AnalysisPassed",
  ],
  [
    "a mirror that compares nothing",
    { rules: { divergence }, reports: [report(track("new", { requests: 200 }))] },
    "Inconclusive",
    "TooFewCompared",
  ],
  [
    "buckets of other bounds",
    { reports: [{ ...report(track("new", { requests: 200, errors: 200 })), latencyBounds: [1] }] },
    "Inconclusive",
    "TooFewRequests",
  ],
];

describe("a step is judged", () => {
  test.each(cases)("%s", (_, given, result, reason) => {
    expect(judge(evidence(given))).toMatchObject({ result, reason });
  });

  test("with numbers that never show less than what was judged", () => {
    const reports = [report(track("new", { requests: 999, errors: 1, milliseconds: 10.2 }))];
    expect(numbersOf(evidence({ reports }))).toMatchObject({ requests: 999, errorPerMille: 2 });
  });

  test.each([
    [55, "AnswersDiffer"],
    [56, "AnalysisPassed"],
  ])(
    "by Wilson's interval where few are compared: 10 of 100 are at least 55.2 ‰, with %d allowed",
    (maxPerMille, reason) => {
      const rules = { minRequests: 1000, divergence: { ...divergence, maxPerMille } };
      const reports = [report(track("new", { requests: 1000, mirrored: 100, diverged: 10 }))];
      expect(judge(evidence({ weightPercent: 95, rules, reports })).reason).toBe(reason);
    },
  );
});
