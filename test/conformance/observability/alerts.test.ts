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
/** A condition that the leader tells of since so many seconds after 1970, which is where promtool's time begins. */
const tells = (condition: string, since: number, leader = OPERATOR): Series => {
  const [type, status, reason] = condition.split(" ");
  const resource = 'kind="ModelServing",resource_namespace="default",name="digits"';
  const answer = `condition="${type}",status="${status}",reason="${reason}"`;
  return {
    [`naru_resource_condition_since_timestamp_seconds{${leader},${resource},${answer}}`]: `${since}+0x60`,
  };
};
const HOURS_AGO = -30_000;

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
  {
    alert: "NaruModelServingNotReady",
    bad: tells("Ready False PodsNotReady", 0),
    good: tells("Ready False NoReplicas", 0),
  },
  {
    alert: "NaruModelServingDegraded",
    bad: tells("Degraded True RolledBack", 0),
    // It became so five minutes before the last look.
    good: tells("Degraded True RolledBack", 2700),
  },
  {
    alert: "NaruModelServingRolloutStuck",
    bad: tells("RolloutComplete False CanaryPaused", HOURS_AGO),
    good: tells("RolloutComplete False CanaryStepping", HOURS_AGO),
  },
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

describe.skipIf(promtool === undefined)("alerts of resources", () => {
  test("a rollout within its deadline is no outage, and beyond it is one", async () => {
    const firstStart = {
      ...tells("Ready False PodsNotReady", 0),
      ...tells("RolloutComplete False RollingUpdate", 0),
    };
    await expectFiring("NaruModelServingNotReady", firstStart, { "50m": 0 });
    const late = { ...firstStart, ...tells("Degraded True ProgressDeadlineExceeded", 600) };
    await expectFiring("NaruModelServingNotReady", late, { "50m": 1 });
  });

  test("one that nobody acts on is told of", async () => {
    await expectFiring("NaruModelServingNotReady", tells("Ready Unknown ", 0), { "50m": 1 });
  });

  test("a rollout that ended badly is told once, as Degraded", async () => {
    const rolledBack = {
      ...tells("RolloutComplete False RolledBack", HOURS_AGO),
      ...tells("Degraded True RolledBack", HOURS_AGO),
    };
    await expectFiring("NaruModelServingRolloutStuck", rolledBack, { "50m": 0 });
    await expectFiring("NaruModelServingDegraded", rolledBack, { "50m": 1 });
  });

  test("a hand-over neither ends an alert, nor lets it fire twice or begin anew", async () => {
    const [[told] = [""]] = Object.entries(tells("Ready False PodsNotReady", 0));
    const handedOver = {
      // The first leads for 20 minutes and comes back for three. In between nobody does, then the other, then both seem to.
      [told]: "0+0x20 stale _x6 0+0x2 stale",
      [told.replace("naru-operator-0", "naru-operator-1")]: "_x24 0+0x35",
    };
    const all = { "20m": 1, "21m": 1, "22m": 1, "23m": 1, "24m": 1, "26m": 1, "29m": 1, "32m": 1, "50m": 1 };
    await expectFiring("NaruModelServingNotReady", handedOver, all);
  });

  test("an alert names the resource and its namespace, not the operator's", async () => {
    const named = cases.filter(({ alert }) => alert.startsWith("NaruModelServing"));
    expect(named).toHaveLength(3);
    for (const { alert, bad } of named) {
      await evaluate(bad, [
        {
          expr: `count by (namespace, name) (ALERTS{alertname="${alert}"})`,
          eval_time: "50m",
          exp_samples: [{ labels: '{namespace="default", name="digits"}', value: 1 }],
        },
      ]);
    }
  });

  test("one whose resource is well again ends", async () => {
    const [[told] = [""]] = Object.entries(tells("Ready False PodsNotReady", 0));
    await expectFiring("NaruModelServingNotReady", { [told]: "0+0x20 stale" }, { "20m": 1, "30m": 0 });
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
