import { startControllers } from "../../../operator/engine/start.ts";
import type { KubeCluster } from "../../../operator/kube/cluster.ts";
import type { Connection } from "../../../operator/kube/connection.ts";
import type { ReflectorTiming } from "../../../operator/kube/reflector.ts";
import { kindRules } from "../../../operator/manager/kinds.ts";
import { modelServingKind } from "../../../operator/model-serving/kind.ts";
import { openRouterSigner } from "../../../operator/model-serving/router-signer.ts";
import type { OperatorSettings } from "../../../operator/model-serving/settings.ts";
import { openCluster, recordedLog } from "./kube.ts";

/** The engine with the real decisions, in this process. */
export interface RunningEngine {
  readonly cluster: KubeCluster;
  /** What the engine and the adapter logged. */
  readonly log: { readonly lines: readonly string[] };
  /** How often it was decided so far. */
  readonly decisions: number;
  stop(): Promise<void>;
}

/** Reconciles ModelServings over that connection, reading every kind as the operator's own program does. */
export async function startEngine(
  connection: Connection,
  options: { timing?: Partial<ReflectorTiming>; settings?: Partial<OperatorSettings> } = {},
): Promise<RunningEngine> {
  const signer = await openRouterSigner({ read: async () => undefined, create: async (pem) => pem });
  const settings = {
    runtimeImage: "registry.example/naru/runtime:1",
    namespace: "naru",
    ...options.settings,
  };
  const kind = modelServingKind(settings, signer);
  const { timing = {} } = options;
  const opened = await openCluster(connection, { kinds: kindRules([kind]), timing });
  const log = recordedLog();
  let decisions = 0;
  const counted: typeof kind = {
    ...kind,
    decide: (...about) => {
      decisions += 1;
      return kind.decide(...about);
    },
  };
  const engine = await startControllers({ cluster: opened.cluster, kinds: [counted], log });
  return {
    cluster: opened.cluster,
    log: {
      get lines() {
        return [...log.lines, ...opened.log.lines];
      },
    },
    get decisions() {
      return decisions;
    },
    async stop() {
      await engine.stop();
      await opened.stop();
    },
  };
}
