import { defineConfig } from "vitest/config";

/** Against any cluster in `KUBECONFIG`. There is nothing to run on one yet: the Kubernetes adapter comes first. */
export default defineConfig({
  test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], passWithNoTests: true },
});
