import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { eventually } from "../../support/eventually.ts";
import type { MountedServiceAccount } from "../../support/service-account.ts";

const MAIN = new URL("../../../operator/main.ts", import.meta.url).pathname;
const NO_CLIENT = new URL("../../support/no-kubernetes-client.ts", import.meta.url).href;

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** The operator as a process of its own, with what it logged. */
export interface OperatorProcess {
  readonly pid: number;
  readonly log: readonly LogLine[];
  /** `health` or `metrics`: answers its status and body. */
  get(endpoint: "health" | "metrics", path: string): Promise<{ status: number; body: string }>;
  /** A metric's value; undefined where it is not there. */
  metric(name: string, labels?: string): Promise<number | undefined>;
  logged(msg: string, milliseconds?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  /** How it ended: an exit code, or the signal that killed it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export const IMAGE = "registry.example/naru-runtime@sha256:1d3c";

/** Short, and long enough for a busy machine. */
export const LEASE_MS = 6_000;
const TIMING = [
  `--leader-elect-lease-duration=${LEASE_MS}ms`,
  "--leader-elect-renew-deadline=4s",
  "--leader-elect-retry-period=500ms",
];

/**
 * `pod` is the name that it gives itself. By a service account it starts as in a pod, and would end if it loaded
 * Kubernetes' client. The test kills what is left of it.
 */
export function startOperator(
  options: ({ kubeconfig: string } | { serviceAccount: MountedServiceAccount }) & {
    pod: string;
    args?: readonly string[];
  },
): OperatorProcess {
  const account = "serviceAccount" in options ? options.serviceAccount : undefined;
  const args = [
    ...(account === undefined ? [] : [`--service-account-folder=${account.folder}`]),
    `--runtime-image=${IMAGE}`,
    "--namespace=default",
    "--health-address=127.0.0.1:0",
    "--metrics-address=127.0.0.1:0",
    ...TIMING,
    ...(options.args ?? []),
  ];
  const env = {
    ...process.env,
    POD_NAME: options.pod,
    ...("kubeconfig" in options ? { KUBECONFIG: options.kubeconfig } : account?.env),
  };
  const guards = account === undefined ? [] : ["--import", NO_CLIENT];
  const child = spawn(process.execPath, [...guards, MAIN, ...args], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const log: LogLine[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => log.push(JSON.parse(line) as LogLine));
  const ended = endOf(child);
  const find = (msg: string) => log.find((line) => line.msg === msg);
  const get: OperatorProcess["get"] = async (endpoint, path) => {
    const listens = log.find((line) => line.msg === "listens" && line.endpoint === endpoint);
    const answer = await fetch(`http://127.0.0.1:${listens?.port}${path}`);
    return { status: answer.status, body: await answer.text() };
  };
  return {
    pid: child.pid ?? 0,
    log,
    get,
    async metric(name, labels = "") {
      const { body } = await get("metrics", "/metrics");
      const line = body.split("\n").find((each) => each.startsWith(`${name}${labels}`));
      return line === undefined ? undefined : Number(line.split(" ").at(-1));
    },
    logged: (msg, milliseconds = 60_000) =>
      eventually(`${options.pod} logs "${msg}"`, () => find(msg), milliseconds),
    signal: (signal) => void child.kill(signal),
    ended,
  };
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = await once(child, "exit");
  return code ?? signal;
}
