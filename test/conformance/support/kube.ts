import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { Log } from "../../../operator/engine/log.ts";
import type { KubeObject, ObjectRef } from "../../../operator/engine/objects.ts";
import { openApiClient } from "../../../operator/kube/api-client.ts";
import {
  type KubeCluster,
  type KubeClusterOptions,
  openKubeCluster,
} from "../../../operator/kube/cluster.ts";
import type { Connection } from "../../../operator/kube/connection.ts";
import { MODEL_SERVING } from "../../../operator/model-serving/kind.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { eventually } from "../../support/eventually.ts";
import { DIGEST } from "../../support/model-serving-cases.ts";

export const CONFIG_MAP = { apiVersion: "v1", kind: "ConfigMap" } as const;
export const SERVICE = { apiVersion: "v1", kind: "Service" } as const;

const DEFINITION = new URL("../../../crds/manifests/naru.dev_modelservings.yaml", import.meta.url);

/** Keeps what is logged, so that a test can look at it and stays quiet. */
export function recordedLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const record = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  return {
    lines,
    debug: record("debug"),
    info: record("info"),
    warn: record("warn"),
    error: record("error"),
  };
}

/** The adapter on that connection; `stop` closes its client too. */
export async function openCluster(
  connection: Connection,
  options: Partial<KubeClusterOptions> = {},
  signal?: AbortSignal,
): Promise<{ cluster: KubeCluster; log: { lines: string[] }; stop(): Promise<void> }> {
  const client = openApiClient(connection);
  const log = recordedLog();
  const cluster = await openKubeCluster({ client, log, kinds: [CONFIG_MAP], ...options }, signal).catch(
    async (thrown) => {
      await client.close();
      throw thrown;
    },
  );
  const stop = async (): Promise<void> => {
    await cluster.stop();
    await client.close();
  };
  return { cluster, log, stop };
}

export async function installModelServing(server: ApiServer): Promise<void> {
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  await server.request("POST", path, parse(await readFile(DEFINITION, "utf8")));
  await eventually("ModelServings served", async () => {
    const { status } = await server.request("GET", "/apis/naru.dev/v1alpha1/modelservings");
    return status === 200;
  });
}

let namespaces = 0;

/** A namespace that nothing else uses. */
export async function newNamespace(server: ApiServer): Promise<string> {
  namespaces += 1;
  const name = `test-${process.pid}-${namespaces}`;
  const { status } = await server.request("POST", "/api/v1/namespaces", { metadata: { name } });
  if (status !== 201) throw new Error(`namespace ${name}: ${status}`);
  return name;
}

export function modelServing(namespace: string, name: string, replicas: number): KubeObject {
  return {
    ...MODEL_SERVING,
    metadata: { name, namespace },
    spec: { model: { uri: "s3://models/digits/2/model.onnx", sha256: DIGEST }, replicas },
  };
}

const PLURALS: Readonly<Record<string, string>> = {
  ConfigMap: "configmaps",
  Deployment: "deployments",
  ModelServing: "modelservings",
  Service: "services",
};

/** Where the API server keeps an object of the kinds that tests use. */
export function pathOf({ apiVersion, kind, namespace, name }: ObjectRef): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${namespace}/${PLURALS[kind]}/${name}`;
}

/** Server-side apply by force, as somebody else. */
export async function applyAs(server: ApiServer, manager: string, object: KubeObject): Promise<KubeObject> {
  const { name, namespace = "" } = object.metadata;
  const path = `${pathOf({ apiVersion: object.apiVersion, kind: object.kind, namespace, name })}?fieldManager=${manager}&force=true`;
  const { status, body } = await server.request("PATCH", path, object, "application/apply-patch+yaml");
  if (status >= 300) throw new Error(`${object.kind} ${name}: ${status} ${String(body.message)}`);
  return body as unknown as KubeObject;
}
