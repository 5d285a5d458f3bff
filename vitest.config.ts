import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

// Many tests start programs of ours: what Node compiled for one of them serves the next.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/naru-tests");

/** Two projects: `unit` starts no other program; `integration` starts real servers, proxies and processes. */
export default defineConfig({
  test: {
    // Two cores are what every machine that runs them has. A third worker starves proxies of the zero-loss tests.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // In CI only failures are printed, last, where they are looked for; the report holds every test and its time.
    reporters: process.env.CI
      ? ["minimal", ["json", { outputFile: "test-reports/vitest.json" }]]
      : ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          // They leave nothing behind in a process, so that a process need not load everything anew for each.
          isolate: false,
          // A time-out only ends what hangs: on a busy machine a property of thousands of cases may take long.
          testTimeout: 300_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          // A process for each of sixty files would cost a minute and a half; what they start, they end.
          isolate: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
