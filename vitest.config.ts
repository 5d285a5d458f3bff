import { defineConfig } from "vitest/config";

/** Two projects: `unit` starts no other program; `integration` starts real servers, proxies and processes. */
export default defineConfig({
  test: {
    reporters: process.env.CI
      ? ["default", ["json", { outputFile: "test-reports/vitest.json" }]]
      : ["default"],
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
