import { describe, it } from "vitest";
import { REMOVED_GUARDS } from "../../zero-loss/guards.ts";
import { missingProxies } from "../../zero-loss/proxies/missing.ts";
import { runPath } from "../../zero-loss/run.ts";

/** Shows that the tests of paths.test.ts can fail. */
describe.skipIf(missingProxies().length > 0)("requests are lost without", () => {
  for (const { guard, path, load } of REMOVED_GUARDS) {
    it.concurrent(guard, { timeout: 400_000 }, async ({ expect: expected }) => {
      const outcomes = await runPath(path, {
        ...load,
        requests: 1,
        untilLost: true,
        mostMilliseconds: 120_000,
      });
      expected(outcomes.flatMap(({ report }) => report.lost).length).toBeGreaterThan(0);
    });
  }
});
