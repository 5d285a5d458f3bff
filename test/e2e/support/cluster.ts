import { existsSync } from "node:fs";
import { findProgram, NO_HELM } from "../../../scripts/helm.ts";

/** The cluster that `KUBECONFIG` names, and the programs that it is driven with. */
export interface TestCluster {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly helm: string;
}

/** Why nothing can be tested on a cluster here, or undefined where it can. */
export function missingCluster(): string | undefined {
  const kubeconfig = process.env.KUBECONFIG;
  if (!kubeconfig) return "KUBECONFIG names no cluster";
  if (!existsSync(kubeconfig)) return `KUBECONFIG names ${kubeconfig}, which is not there`;
  if (findProgram("kubectl") === undefined)
    return "there is no kubectl on PATH or in the folder that KUBEBUILDER_ASSETS names";
  return findProgram("helm") === undefined ? NO_HELM : undefined;
}

export function testCluster(): TestCluster {
  const missing = missingCluster();
  const [kubectl, helm] = [findProgram("kubectl"), findProgram("helm")];
  if (missing !== undefined || kubectl === undefined || helm === undefined) throw new Error(missing);
  return { kubeconfig: process.env.KUBECONFIG ?? "", kubectl, helm };
}
