import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type RouterConfig, type RouterReport, routerReport } from "../../../lib/config/router.ts";
import { PUSH_PURPOSE, SIGNATURE_HEADER } from "../../../lib/config/router-push.ts";
import { newPrivateKey, readPrivateKeys, type SigningKey } from "../../../lib/signing/keys.ts";
import { signatureOf } from "../../../lib/signing/signature.ts";
import { createLogger } from "../../../lib/telemetry/logger.ts";
import { type RunningRouter, start } from "../../../runtimes/router/main.ts";
import { startV2Server, type V2Server, type V2ServerOptions } from "./v2-server.ts";

/** A router.json as a test writes it: what it does not say is the schema's default. */
export type ConfigInput = Partial<Omit<RouterConfig, "stable" | "canary" | "mirror" | "http">> & {
  readonly stable: Record<string, unknown>;
  readonly canary?: Record<string, unknown>;
  readonly mirror?: Record<string, unknown>;
  readonly http?: Record<string, unknown>;
};

export interface PushAnswer {
  readonly status: number;
  readonly code: string | null;
  readonly body: RouterReport & { error?: string };
}

export interface TestRouter {
  readonly url: string;
  readonly admin: string;
  readonly configDir: string;
  readonly running: RunningRouter;
  /** As the operator does: numbered where the test gives no number, and signed with `operatorKey`. */
  push(config: unknown): Promise<PushAnswer>;
  /** Whatever a stranger may send. */
  put(body: string, headers?: Record<string, string>): Promise<PushAnswer>;
  report(): Promise<RouterReport>;
}

/** The ModelServing that every router here belongs to. */
export const OWNER = { namespace: "default", name: "digits", uid: "u1" };

export function newKey(): SigningKey {
  const [key] = readPrivateKeys(newPrivateKey());
  if (key === undefined) throw new Error("a new key can be read");
  return key;
}

/** The operator's key, which every router here trusts unless the test says otherwise. */
export const operatorKey = newKey();
let pushed = 0;

/** A push as the operator sends it: a configuration without a number gets the next one. */
export function signed(
  config: unknown,
  { owner = OWNER, keys = [operatorKey] }: { owner?: typeof OWNER; keys?: readonly SigningKey[] } = {},
): { body: string; headers: Record<string, string> } {
  pushed += 1;
  const numbered = typeof config === "object" ? { sequence: pushed, ...config } : config;
  const body = JSON.stringify({ owner, config: numbered });
  return { body, headers: { [SIGNATURE_HEADER]: signatureOf(PUSH_PURPOSE, Buffer.from(body), keys) } };
}

/** Writes trust.json, as the operator's ConfigMap holds it. */
export async function trust(configDir: string, publicKeys: readonly string[]): Promise<void> {
  await writeFile(join(configDir, "trust.json.new"), JSON.stringify({ owner: OWNER, publicKeys }));
  await rename(join(configDir, "trust.json.new"), join(configDir, "trust.json"));
}

export async function folder(prefix: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

export async function server(options: V2ServerOptions = {}): Promise<V2Server> {
  const started = await startV2Server(options);
  onTestFinished(() => started.close());
  return started;
}

/** Starts a router in this process, on free ports, as `main` does. `file` undefined: there is no router.json yet. */
export async function router(
  file: ConfigInput | undefined,
  options: { stateDir?: string; configDir?: string; publicKeys?: readonly string[] } = {},
): Promise<TestRouter> {
  const configDir = options.configDir ?? (await folder("naru-router-"));
  const { publicKeys = [operatorKey.publicKey] } = options;
  if (publicKeys.length > 0) await trust(configDir, publicKeys);
  if (file !== undefined) await writeFile(join(configDir, "router.json"), JSON.stringify(file));
  const before = process.env.NARU_STATE_DIR;
  if (options.stateDir !== undefined) process.env.NARU_STATE_DIR = options.stateDir;
  const running = await start({
    env: {
      configDir,
      modelsDir: configDir,
      httpPort: 0,
      grpcPort: 0,
      adminPort: 0,
      listenHost: "127.0.0.1",
      podName: "router-0",
    },
    log: createLogger("router", { level: process.env.NARU_TEST_LOG ?? "silent" }),
  });
  if (before === undefined) delete process.env.NARU_STATE_DIR;
  else process.env.NARU_STATE_DIR = before;
  onTestFinished(() => running.stop());
  const admin = `http://127.0.0.1:${running.ports.admin}`;
  const put: TestRouter["put"] = async (body, headers = {}) => {
    const answer = await fetch(`${admin}/naru/config`, {
      method: "PUT",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    return {
      status: answer.status,
      code: answer.headers.get("naru-error-code"),
      body: (await answer.json()) as PushAnswer["body"],
    };
  };
  return {
    url: `http://127.0.0.1:${running.ports.http}`,
    admin,
    configDir,
    running,
    put,
    push: (config) => {
      const { body, headers } = signed(config);
      return put(body, headers);
    },
    async report() {
      return routerReport.parse(await (await fetch(`${admin}/naru/status`)).json());
    },
  };
}

/** A V2 JSON inference of `values` as the tensor x. */
export function inferBody(...values: number[]): string {
  return JSON.stringify({
    inputs: [{ name: "x", datatype: "FP32", shape: [values.length], data: values }],
  });
}

export async function infer(
  url: string,
  body: string = inferBody(1, 2),
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/v2/models/digits/infer`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

/** One output's data of a JSON answer. */
export async function outputOf(answer: Response, name = "y"): Promise<unknown> {
  const { outputs } = (await answer.json()) as { outputs: { name: string; data: unknown }[] };
  return outputs.find((output) => output.name === name)?.data;
}
