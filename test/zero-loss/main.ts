import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { REMOVED_GUARDS } from "./guards.ts";
import { PATHS } from "./paths.ts";
import { type PathOutcome, runPath } from "./run.ts";

/**
 * `npm run test:zero-loss [-- --requests N] [--path NAME]`: every path under constant load through nginx, HAProxy
 * and the Service, 50,000 requests a path; then each guard taken away alone, which has to lose some. Prints a line
 * an outcome and, in CI, writes a report in the test runner's own form.
 */
const { values } = parseArgs({
  options: { requests: { type: "string", default: "50000" }, path: { type: "string" } },
});
const requests = Number(values.requests);
if (!Number.isSafeInteger(requests) || requests < 1)
  throw new Error("--requests takes a whole number from 1");

interface Verdict {
  readonly fullName: string;
  readonly status: "passed" | "failed";
}
const verdicts: Verdict[] = [];

for (const path of PATHS) {
  if (values.path !== undefined && path.name !== values.path) continue;
  const outcomes = await runPath(path, {
    requests,
    clients: 16,
    thinkMilliseconds: 1,
    busyMilliseconds: 2000,
  });
  for (const outcome of outcomes) {
    show(outcome);
    const { sent, lost } = outcome.report;
    verdict(
      `${outcome.path} through ${outcome.proxy} loses nothing`,
      lost.length === 0 && sent * outcomes.length >= requests,
    );
  }
}
for (const { guard, path, load } of values.path === undefined ? REMOVED_GUARDS : []) {
  const outcomes = await runPath(path, { ...load, requests: 1, untilLost: true, mostMilliseconds: 120_000 });
  for (const outcome of outcomes) show(outcome);
  verdict(
    `without ${guard} requests are lost`,
    outcomes.some(({ report }) => report.lost.length > 0),
  );
}

if (process.env.CI) {
  const folder = join(import.meta.dirname, "../../test-reports");
  await mkdir(folder, { recursive: true });
  const count = (status: Verdict["status"]) => verdicts.filter((one) => one.status === status).length;
  const report = {
    numPassedTests: count("passed"),
    numFailedTests: count("failed"),
    numPendingTests: 0,
    testResults: [{ assertionResults: verdicts }],
  };
  await writeFile(join(folder, "zero-loss.json"), JSON.stringify(report));
}
if (verdicts.length === 0)
  throw new Error(`no path ${values.path}: choose from ${PATHS.map(({ name }) => name).join(", ")}`);
if (verdicts.some(({ status }) => status === "failed")) process.exitCode = 1;

function show({ path, proxy, disturbances, mostLagMilliseconds, report }: PathOutcome): void {
  const seconds = (report.milliseconds / 1000).toFixed(0);
  console.log(
    `${path} / ${proxy}: sent=${report.sent} lost=${report.lost.length} disturbances=${disturbances} lag<=${mostLagMilliseconds}ms seconds=${seconds}`,
  );
  for (const { at, reason } of report.lost.slice(0, 3))
    console.log(`  at ${at} ms: ${reason.replaceAll(/\s+/g, " ")}`);
}

function verdict(fullName: string, passed: boolean): void {
  verdicts.push({ fullName, status: passed ? "passed" : "failed" });
  console.log(`${passed ? "ok" : "NOT OK"}: ${fullName}`);
}
