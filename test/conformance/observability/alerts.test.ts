import { describe, expect, test } from "vitest";
import { alerts } from "./expressions.ts";
import { evaluate, promtool, type Series } from "./promtool.ts";

interface Case {
  readonly alert: string;
  /** Under which it fires. */
  readonly bad: Series;
  /** Which comes near, and under which it does not. */
  readonly good: Series;
}

const OPERATOR = 'namespace="naru-system",pod="naru-operator-0"';
const MODEL = 'namespace="default",naru_dev_model_serving="digits",pod="digits-0"';
const reconciled = (errors: string): Series => ({
  [`controller_runtime_reconcile_total{${OPERATOR},controller="modelserving",result="success"}`]: "0+100x60",
  [`controller_runtime_reconcile_errors_total{${OPERATOR},controller="modelserving"}`]: errors,
});
const waited = (within: string): Series => ({
  [`workqueue_queue_duration_seconds_bucket{${OPERATOR},name="modelserving",le="10"}`]: within,
  [`workqueue_queue_duration_seconds_bucket{${OPERATOR},name="modelserving",le="1000"}`]: "0+100x60",
  [`workqueue_queue_duration_seconds_bucket{${OPERATOR},name="modelserving",le="+Inf"}`]: "0+100x60",
});
const answered = (code: string, failed: string): Series => ({
  [`naru_router_requests_total{${MODEL},revision="a",code="200"}`]: "0+100x60",
  [`naru_router_requests_total{${MODEL},revision="a",code="${code}"}`]: failed,
});

const cases: readonly Case[] = [
  {
    alert: "NaruOperatorNoLeader",
    bad: { [`leader_election_master_status{${OPERATOR},name="naru-operator"}`]: "0x60" },
    good: { [`leader_election_master_status{${OPERATOR},name="naru-operator"}`]: "1x60" },
  },
  { alert: "NaruOperatorReconcileErrors", bad: reconciled("0+20x60"), good: reconciled("0+5x60") },
  {
    alert: "NaruOperatorStuck",
    bad: { [`workqueue_longest_running_processor_seconds{${OPERATOR},name="modelserving"}`]: "0+60x60" },
    good: { [`workqueue_longest_running_processor_seconds{${OPERATOR},name="modelserving"}`]: "30x60" },
  },
  { alert: "NaruOperatorBehind", bad: waited("0+50x60"), good: waited("0+99x60") },
  { alert: "NaruServingErrors", bad: answered("503", "0+10x60"), good: answered("404", "0+10x60") },
  {
    alert: "NaruServingRejects",
    bad: { [`naru_inference_request_failure{${MODEL},reason="REJECTED"}`]: "0+1x60" },
    good: { [`naru_inference_request_failure{${MODEL},reason="CANCELED"}`]: "0+1x60" },
  },
  {
    alert: "NaruRouterRefusesHeld",
    bad: { [`naru_router_held_refused_total{${MODEL}}`]: "0+1x60" },
    good: { [`naru_router_held_refused_total{${MODEL}}`]: "7x60" },
  },
  {
    alert: "NaruRouterNotReady",
    bad: { [`naru_router_ready{${MODEL}}`]: "0x60" },
    good: { [`naru_router_ready{${MODEL}}`]: "1x60" },
  },
];

if (promtool === undefined) console.log("skipped: when alerts fire: there is no promtool on PATH");

describe.skipIf(promtool === undefined)("alerts", () => {
  test("have each a case in which they fire", () => {
    expect(cases.map(({ alert }) => alert)).toEqual(alerts().map(({ alert }) => alert));
  });

  test.each(cases)(
    "$alert fires when it has to, after its time, and not before",
    async ({ alert, bad, good }) => {
      await expectFiring(alert, bad, { "2m": 0, "50m": 1 });
      await expectFiring(alert, good, { "2m": 0, "50m": 0 });
      await expect(expectFiring(alert, good, { "50m": 1 })).rejects.toThrow(/FAILED/);
    },
  );

  test("one operator of several that has no leader is told of, and one that nobody scrapes", async () => {
    const leads = (namespace: string, values: string): Series => ({
      [`leader_election_master_status{namespace="${namespace}",pod="a",name="naru-operator"}`]: values,
      [`leader_election_master_status{namespace="${namespace}",pod="b",name="naru-operator"}`]: "0x60",
    });
    const leaderless = { ...leads("naru-a", "1x60"), ...leads("naru-b", "0x60") };
    await expectFiring("NaruOperatorNoLeader", leaderless, { "50m": 1 });
    const led = { ...leads("naru-a", "1x60"), ...leads("naru-b", "1x60") };
    await expectFiring("NaruOperatorNoLeader", led, { "50m": 0 });
    const anothers = { 'leader_election_master_status{namespace="certs",pod="a",name="certs"}': "1x60" };
    await expectFiring("NaruOperatorNoLeader", anothers, { "50m": 1 });
  });
});

/** @param counts how many of the alert fire at which time */
async function expectFiring(
  alert: string,
  series: Series,
  counts: Readonly<Record<string, number>>,
): Promise<void> {
  await evaluate(
    series,
    Object.entries(counts).map(([eval_time, value]) => ({
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      eval_time,
      exp_samples: [{ labels: "{}", value }],
    })),
  );
}
