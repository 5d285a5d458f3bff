import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createLogger } from "../../../lib/telemetry/logger.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { start as startRouter } from "../../../runtimes/router/main.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { eventually } from "../../support/eventually.ts";
import { DIGEST } from "../../support/model-serving-cases.ts";
import { applyAs, modelServing } from "./kube.ts";
import { runPod } from "./pods.ts";

const NEXT_DIGEST = DIGEST.replaceAll("4", "5");

/** A ModelServing that is brought from its creation into a canary's step, with a real router and pods that a test writes. */
export interface CanaryMoves {
  /** What a user or a kubelet does, one after the other, and what follows from each. */
  readonly moves: Readonly<Record<string, (namespace: string) => Promise<void>>>;
  close(): Promise<void>;
}

/** `folder` is where configurations of routers are kept; the caller removes it. */
export function canaryMoves(server: ApiServer, folder: string, name: string): CanaryMoves {
  const closers: (() => Promise<void>)[] = [];

  async function deploymentOf(namespace: string, own: string): Promise<KubeObject> {
    return eventually(`Deployment ${own}`, async () => {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${own}`;
      const { status, body } = await server.request("GET", path);
      return status === 200 && (body as unknown as KubeObject);
    });
  }

  /** A real router, with what its ConfigMap holds; answers its admin port. */
  async function router(namespace: string): Promise<number> {
    const configDir = join(folder, namespace);
    await mkdir(configDir, { recursive: true });
    const path = `/api/v1/namespaces/${namespace}/configmaps/${name}-router`;
    const data = await eventually("the router's ConfigMap", async () => {
      const { body } = await server.request("GET", path);
      return body.data as Record<string, string> | undefined;
    });
    for (const [file, text] of Object.entries(data)) await writeFile(join(configDir, file), text);
    const running = await startRouter({
      env: {
        configDir,
        modelsDir: configDir,
        httpPort: 0,
        grpcPort: 0,
        adminPort: 0,
        listenHost: "127.0.0.1",
        podName: `${name}-router-0`,
      },
      log: createLogger("router", { level: "silent" }),
    });
    closers.push(async () => running.stop());
    return running.ports.admin;
  }

  const resource = (namespace: string, sha256: string): KubeObject => ({
    ...modelServing(namespace, name, 1),
    spec: {
      model: { uri: "s3://models/digits/model.onnx", sha256 },
      replicas: 1,
      canary: { steps: [{ weightPercent: 5, holdSeconds: 3600 }] },
    },
  });

  return {
    moves: {
      async creation(namespace) {
        await applyAs(server, "kubectl", resource(namespace, DIGEST));
      },
      async "first pods"(namespace) {
        const admin = await router(namespace);
        await runPod(server, await deploymentOf(namespace, `${name}-router`), admin);
        await runPod(server, await deploymentOf(namespace, name));
      },
      async "a change of spec"(namespace) {
        await applyAs(server, "kubectl", resource(namespace, NEXT_DIGEST));
      },
      async "a canary's step"(namespace) {
        await runPod(server, await deploymentOf(namespace, `${name}-canary`));
      },
    },
    async close() {
      for (const close of closers.splice(0)) await close();
    },
  };
}
