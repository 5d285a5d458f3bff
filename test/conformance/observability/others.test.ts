import { describe, expect, test } from "vitest";
import { metricsIn, panelQueries } from "./expressions.ts";
import { evaluate, promtool, type Series } from "./promtool.ts";

if (promtool === undefined) console.log("skipped: what panels show of others: there is no promtool on PATH");

/** Another operator of the cluster, as controller-runtime names its metrics, and its process. */
const OTHERS = [
  'namespace="certs",pod="certs-0",container="certs",name="certs",controller="certs",method="GET",code="200"',
  'result="success",verb="patch",priority="0",revision="a",model="m",reason="r",outcome="same",le="+Inf"',
].join(",");

const metrics = [...new Set(panelQueries().flatMap(({ expr }) => metricsIn(expr)))];
const others: Series = Object.fromEntries(metrics.map((metric) => [`${metric}{${OTHERS}}`, "1+1x60"]));

/** Over minutes, which is how promtool's series come. */
const overMinutes = (expr: string) => expr.replaceAll("[10s]", "[5m]");

describe.skipIf(promtool === undefined)("a dashboard that shows everything", () => {
  test("shows nothing of another's operator or process", async () => {
    const nothing = panelQueries().map(({ expr }) => ({
      expr: overMinutes(expr),
      eval_time: "50m",
      exp_samples: [],
    }));
    expect(nothing.length).toBeGreaterThan(30);
    await evaluate(others, nothing);
    // The series are there to be seen.
    const seen = {
      expr: 'process_resident_memory_bytes{namespace=~".*"}',
      eval_time: "50m",
      exp_samples: [],
    };
    await expect(evaluate(others, [seen])).rejects.toThrow(/certs-0/);
  });
});
