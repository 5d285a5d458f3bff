import { defineConfig } from "vitest/config";

/** Two projects: `unit` starts no other program; `integration` starts real servers, proxies and processes. */
export default defineConfig({
  test: {
    // Two cores are what every machine that runs them has; most tests wait for processes and sockets.
    maxWorkers: 2,
    reporters: process.env.CI
      ? ["default", ["json", { outputFile: "test-reports/vitest.json" }]]
      : ["default"],
    projects: [
      // A time-out only ends what hangs: on a busy machine a property of thousands of cases may take long.
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 120_000 } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
