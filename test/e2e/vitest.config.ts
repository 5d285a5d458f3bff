import { defineConfig } from "vitest/config";

/** Against any cluster in `KUBECONFIG`; skipped, with the reason, without. One file after the other. */
export default defineConfig({
  test: {
    name: "e2e",
    reporters: process.env.CI ? ["default", ["json", { outputFile: "test-reports/e2e.json" }]] : ["default"],
    include: ["test/e2e/**/*.test.ts"],
    globalSetup: "test/e2e/global-setup.ts",
    testTimeout: 600_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
