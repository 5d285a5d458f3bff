import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { modelServing } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import type { PodStatus } from "../../../operator/standalone/pod-types.ts";
import {
  type Standalone,
  type StandaloneOptions,
  startStandalone,
} from "../../../operator/standalone/start.ts";

/** Stands in for Naru's runtime image: its program is `program.ts` beside this file. */
export const image = "example.com/naru-runtime:test";
export const program = join(import.meta.dirname, "program.ts");
export const schemas = new Map([["naru.dev/v1alpha1/ModelServing", modelServing]]);

export interface Room {
  readonly dir: string;
  readonly standalone: Standalone;
  /** What it logged, as `level message`. */
  readonly lines: string[];
  /** Writes a file of the folder as an editor does: whole, by rename. */
  write(name: string, content: string | KubeObject): Promise<void>;
  /** Ends it and takes the folder away. */
  dispose(): Promise<void>;
}

export async function openRoom(options: Partial<StandaloneOptions> = {}): Promise<Room> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "naru-test-")));
  const lines: string[] = [];
  const standalone = await startStandalone({
    dir,
    schemas,
    images: (name) => (name === image ? program : undefined),
    log: (level, message) => lines.push(`${level} ${message}`),
    backoffMilliseconds: 50,
    files: { settleMilliseconds: 30, goneMilliseconds: 150, pollMilliseconds: 500 },
    ...options,
  });
  return {
    dir,
    standalone,
    lines,
    write: async (name, content) => {
      const text = typeof content === "string" ? content : stringify(content);
      await writeFile(join(dir, `.${name}.new`), text);
      await rename(join(dir, `.${name}.new`), join(dir, name));
    },
    dispose: async () => {
      await standalone.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function resource(name: string, version: 1 | 2): KubeObject {
  return {
    apiVersion: "naru.dev/v1alpha1",
    kind: "ModelServing",
    metadata: { name, namespace: "default" },
    spec: { model: { uri: `file:///models/${version}.onnx`, sha256: String(version).repeat(64) } },
  };
}

export interface Workload {
  name: string;
  replicas?: number;
  /** Environment of the stand-in program; see program.ts. */
  env?: Record<string, string>;
  container?: Record<string, unknown>;
  pod?: Record<string, unknown>;
  spec?: Record<string, unknown>;
}

/** A Deployment of the stand-in program, with probes as tight as tests want them. */
export function deployment(workload: Workload): KubeObject {
  const { name, replicas = 1, env = {}, container = {}, pod = {}, spec = {} } = workload;
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      ...spec,
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "server",
              image,
              args: ["serve"],
              ports: [{ name: "http", containerPort: 8080 }],
              env: [
                { name: "NARU_HTTP_PORT", value: "8080" },
                { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                ...Object.entries(env).map(([key, value]) => ({ name: key, value })),
              ],
              readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 1 },
              ...container,
            },
          ],
          ...pod,
        },
      },
    },
  };
}

export function service(name: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };
}

/** The pods of a Deployment that this file made. */
export function podsOf(room: Room, name: string): KubeObject[] {
  const query = { apiVersion: "v1", kind: "Pod", namespace: "default", labels: { app: name } };
  return [...room.standalone.cluster.list(query)];
}

export function podStatus(pod: KubeObject | undefined): PodStatus | undefined {
  return pod?.status as PodStatus | undefined;
}

export function statusOf(
  room: Room,
  name: string,
): Record<string, unknown> & { conditions?: { type: string; status: string; reason: string }[] } {
  const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name };
  return (room.standalone.cluster.get(ref)?.status ?? {}) as Record<string, unknown>;
}

export function urlOf(room: Room, name: string): string {
  const address = room.standalone.addresses().find((one) => one.service === name);
  if (address === undefined) throw new Error(`service ${name} has no port yet`);
  return `http://127.0.0.1:${address.localPort}`;
}
