import { describe, it } from "vitest";
import { PATHS } from "../../zero-loss/paths.ts";
import { missingProxies } from "../../zero-loss/proxies/missing.ts";
import { runPath } from "../../zero-loss/run.ts";

/** The same paths as `npm run test:zero-loss`, with 2,000 requests each. */
describe.skipIf(missingProxies().length > 0)(
  "no request is lost through nginx, HAProxy and the Service over a",
  () => {
    for (const path of PATHS) {
      it.concurrent(path.name, { timeout: 400_000 }, async ({ expect: expected }) => {
        // Spread over the whole path, which is longest for a canary.
        const thinkMilliseconds = path.name.startsWith("canary") ? 40 : 20;
        const outcomes = await runPath(path, { requests: 2000, thinkMilliseconds, mostDisturbances: 1 });
        for (const { report, proxy, mostLagMilliseconds } of outcomes)
          expected(report.lost, `${proxy}, at most ${mostLagMilliseconds} ms behind`).toEqual([]);
        expected(outcomes.reduce((sum, { report }) => sum + report.sent, 0)).toBeGreaterThanOrEqual(2000);
        expected(outcomes.map(({ proxy }) => proxy)).toEqual(["nginx", "haproxy", "service"]);
      });
    }
  },
);
