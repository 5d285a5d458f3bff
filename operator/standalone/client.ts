import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NaruError } from "../../lib/errors.ts";
import { ClusterError, type ClusterErrorCode } from "../engine/cluster.ts";
import type { KubeObject, ObjectKind, ObjectRef } from "../engine/objects.ts";
import type { StandaloneInfo } from "./api.ts";
import { runningInstance } from "./instance.ts";
import { readObjects } from "./persistence.ts";
import { logsDirectory, stateDirectory } from "./state.ts";

/** A folder's resources as another process sees them: through the `naru up` that runs it, else as it left them. */
export interface StandaloneClient {
  readonly running: boolean;
  /** @throws NaruError NotRunning */
  info(): Promise<StandaloneInfo>;
  /** Objects of a kind; of all kinds without one. Not running: what was last written, without pods. */
  list(query?: ObjectKind & { namespace?: string; name?: string }): Promise<readonly KubeObject[]>;
  /** Sets annotations without touching the user's file; null removes. @throws NaruError NotRunning; ClusterError */
  annotate(ref: ObjectRef, annotations: Readonly<Record<string, string | null>>): Promise<KubeObject>;
  /** Until its file is edited, or `naru up` starts again. @throws NaruError NotRunning; ClusterError NotFound */
  delete(ref: ObjectRef): Promise<void>;
}

/** @param dir the folder of `naru up`; `stateDir` where it was given another place for its state */
export function openStandalone(dir: string, stateDir = stateDirectory(dir)): StandaloneClient {
  const instance = runningInstance(stateDir);
  const ask = async (method: string, target: string, body?: unknown): Promise<unknown> => {
    if (instance !== undefined) return await request(instance.socket, method, target, body);
    throw new NaruError({
      code: "NotRunning",
      message: `nothing runs ${dir}`,
      remedy: `start it in another terminal: naru up ${dir}`,
      status: 503,
    });
  };
  const search = (fields: object) => new URLSearchParams(fields as Record<string, string>).toString();
  return {
    running: instance !== undefined,
    info: async () => (await ask("GET", "/v1/info")) as StandaloneInfo,
    list: async (query) => {
      if (instance !== undefined) {
        return ((await ask("GET", `/v1/objects?${search(query ?? {})}`)) as { items: KubeObject[] }).items;
      }
      const { apiVersion, kind, namespace, name } = query ?? {};
      return readObjects(stateDir).filter(
        (object) =>
          (kind === undefined || (object.kind === kind && object.apiVersion === apiVersion)) &&
          (namespace === undefined || object.metadata.namespace === namespace) &&
          (name === undefined || object.metadata.name === name),
      );
    },
    annotate: async (ref, annotations) =>
      (await ask("PATCH", `/v1/annotations?${search(ref)}`, annotations)) as KubeObject,
    delete: async (ref) => {
      await ask("DELETE", `/v1/objects?${search(ref)}`);
    },
  };
}

function request(socketPath: string, method: string, target: string, body?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = http.request({ socketPath, method, path: target, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        const value = JSON.parse(Buffer.concat(chunks).toString()) as { code?: string; message?: string };
        if (answer.statusCode === 200) resolve(value);
        else reject(new ClusterError((value.code ?? "Unavailable") as ClusterErrorCode, value.message ?? ""));
      });
    });
    call.once("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Where a container's log is; it is kept for a while after its pod is gone. The file before it is `FILE.1`. */
export function logFileOf(
  stateDir: string,
  pod: { namespace: string; name: string },
  container: string,
): string {
  return path.join(logsDirectory(stateDir), pod.namespace, pod.name, `${container}.log`);
}

const followMilliseconds = 200;
const chunkBytes = 64 * 1024;

/** A log's content from `offset` bytes on, and what is added to it until `signal`; absent files are waited for. */
export async function* followLog(file: string, offset: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let [position, inode] = [offset, 0];
  while (!signal.aborted) {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined && inode !== 0 && (stat.ino !== inode || stat.size < position)) position = 0;
    inode = stat?.ino ?? inode;
    if (stat !== undefined && stat.size > position) {
      const descriptor = fs.openSync(file, "r");
      try {
        const buffer = Buffer.alloc(Math.min(chunkBytes, stat.size - position));
        position += fs.readSync(descriptor, buffer, 0, buffer.length, position);
        yield buffer;
      } finally {
        fs.closeSync(descriptor);
      }
    } else {
      await delay(followMilliseconds, undefined, { signal }).catch((error) => {
        if (!signal.aborted) throw error;
      });
    }
  }
}
