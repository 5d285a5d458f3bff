import type { TestProject } from "vitest/node";
import { missingCluster, testCluster } from "./support/cluster.ts";
import { installChart, refuseIfServing, uninstallChart } from "./support/install.ts";
import { startModelStore, stopModelStore } from "./support/model-store.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Certificate of the authority that the model store has its own from. */
    authority: string;
  }
}

/** The operator by its chart, and a store of models, once for all files. `NARU_E2E_KEEP` leaves both there. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const missing = missingCluster();
  if (missing !== undefined) {
    console.warn(`e2e is skipped: ${missing}`);
    return undefined;
  }
  const cluster = testCluster();
  await refuseIfServing(cluster);
  project.provide("authority", await startModelStore());
  await installChart(cluster);
  if (process.env.NARU_E2E_KEEP) return undefined;
  return async () => {
    await uninstallChart(cluster);
    await stopModelStore();
  };
}
