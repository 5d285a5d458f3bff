import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { access, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";

/**
 * etcd and kube-apiserver from `KUBEBUILDER_ASSETS`, as controller-runtime's envtest runs them: no node, no
 * controllers, on free ports of the loopback address, stored in a folder that `stop` removes.
 */
export interface ApiServer {
  readonly url: string;
  /** For kubectl. */
  readonly kubeconfig: string;
  readonly kubectl: string;
  request(method: string, path: string, body?: unknown, contentType?: string): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** The API server's `Warning` headers. */
  readonly warnings: string;
}

const START_DEADLINE_MS = 60_000;

/** Why there is no API server here, or undefined when there is one. */
export async function missingAssets(): Promise<string | undefined> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets === undefined || assets === "") return "KUBEBUILDER_ASSETS is not set";
  for (const program of ["etcd", "kube-apiserver", "kubectl"]) {
    try {
      await access(join(assets, program));
    } catch {
      return `KUBEBUILDER_ASSETS has no ${program}`;
    }
  }
  return undefined;
}

export async function startApiServer(): Promise<ApiServer> {
  const assets = process.env.KUBEBUILDER_ASSETS ?? "";
  const folder = await mkdtemp(join(tmpdir(), "naru-api-server-"));
  const [etcdPort, peerPort, port] = await freePorts(3);
  const started: ChildProcess[] = [];
  const stop = async () => {
    for (const child of started.toReversed()) await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const token = randomUUID();
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(join(folder, "sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(join(folder, "sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    await writeFile(join(folder, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
    const etcd = `http://127.0.0.1:${etcdPort}`;
    started.push(
      await run(join(assets, "etcd"), folder, [
        `--data-dir=${join(folder, "etcd")}`,
        `--listen-client-urls=${etcd}`,
        `--advertise-client-urls=${etcd}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        "--unsafe-no-fsync",
      ]),
    );
    started.push(
      await run(join(assets, "kube-apiserver"), folder, [
        `--etcd-servers=${etcd}`,
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        `--secure-port=${port}`,
        `--cert-dir=${join(folder, "certificates")}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${join(folder, "sa.pub")}`,
        `--service-account-signing-key-file=${join(folder, "sa.key")}`,
        `--token-auth-file=${join(folder, "tokens.csv")}`,
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged",
      ]),
    );
    const url = `https://127.0.0.1:${port}`;
    const kubeconfig = join(folder, "kubeconfig");
    const authority = join(folder, "certificates", "apiserver.crt");
    await until(`kube-apiserver's certificate in ${folder}`, started, () => readFile(authority, "utf8"));
    await writeFile(kubeconfig, kubeconfigFor(url, authority, token), { mode: 0o600 });
    const dispatcher = new Agent({ connect: { ca: await readFile(authority, "utf8") } });
    const call = async (method: string, path: string, body?: unknown, contentType = "application/json") => {
      const answer = await request(`${url}${path}`, {
        method: method as "GET",
        dispatcher,
        headers: { authorization: `Bearer ${token}`, "content-type": contentType },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return {
        status: answer.statusCode,
        body: (text.startsWith("{") ? JSON.parse(text) : { text }) as Record<string, unknown>,
        warnings: String(answer.headers.warning ?? ""),
      };
    };
    await until("kube-apiserver's /readyz", started, async () => {
      const { status } = await call("GET", "/readyz");
      if (status !== 200) throw new Error(`/readyz answers ${status}`);
    });
    return {
      url,
      kubeconfig,
      kubectl: join(assets, "kubectl"),
      request: call,
      stop: async () => {
        await dispatcher.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts a program whose output goes to a file beside its data. */
async function run(program: string, folder: string, args: readonly string[]): Promise<ChildProcess> {
  const log = await open(join(folder, `${program.split("/").at(-1)}.log`), "w");
  const child = spawn(program, args, { stdio: ["ignore", log.fd, log.fd] });
  await once(child, "spawn");
  await log.close();
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await exited;
  clearTimeout(timer);
}

/** Tries until it succeeds; what failed last is told when time is up or a program has ended. */
async function until<T>(
  what: string,
  programs: readonly ChildProcess[],
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const ended = programs.find((child) => child.exitCode !== null);
      if (ended !== undefined) throw new Error(`${what}: ${ended.spawnfile} ended with ${ended.exitCode}`);
      if (performance.now() > deadline) throw new Error(`${what}: not within a minute`, { cause: error });
      await delay(100);
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

function kubeconfigFor(url: string, authority: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority": authority } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin", namespace: "default" } }],
    "current-context": "test",
  });
}
