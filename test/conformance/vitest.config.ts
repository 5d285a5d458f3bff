import { defineConfig } from "vitest/config";

/** Against a real kube-apiserver and etcd, found by `KUBEBUILDER_ASSETS`; skipped, with the reason, without. */
export default defineConfig({
  test: {
    name: "conformance",
    reporters: process.env.CI
      ? ["default", ["json", { outputFile: "test-reports/conformance.json" }]]
      : ["default"],
    include: ["test/conformance/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
