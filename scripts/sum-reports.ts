import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/**
 * `sum-reports FOLDER`: adds up the JSON reports of the test runners (vitest's own format, which the zero-loss
 * program writes as well), names what was skipped, and prints one line of counts. Exit code 1 when a test
 * failed or none ran.
 */
const report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  testResults: z.array(
    z.object({
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

const folder = process.argv[2] ?? "test-reports";
const reports = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => report.parse(JSON.parse(readFileSync(join(folder, name), "utf8"))));

for (const test of reports.flatMap((one) => one.testResults.flatMap((file) => file.assertionResults))) {
  if (test.status !== "passed" && test.status !== "failed") console.log(`skipped: ${test.fullName}`);
}
const sum = (pick: (one: z.output<typeof report>) => number) =>
  reports.reduce((total, one) => total + pick(one), 0);
const passed = sum((one) => one.numPassedTests);
const failed = sum((one) => one.numFailedTests);
console.log(`${passed} passed, ${failed} failed, ${sum((one) => one.numPendingTests)} skipped`);
if (failed > 0 || passed === 0) process.exitCode = 1;
