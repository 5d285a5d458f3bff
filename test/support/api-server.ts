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
  /** The file with the certificate that signed its own. */
  readonly authority: string;
  /** For a user without any right but those that a test grants to `limited`. */
  readonly limitedKubeconfig: string;
  /** Kills kube-apiserver and starts it again, on the same address and the same data; resolves when it is ready. */
  restart(): Promise<void>;
  /** Kills etcd and starts it again on the same data. What was asked meanwhile waits, or is answered by an error. */
  restartEtcd(): Promise<void>;
  /** Makes etcd forget all versions but the current one. */
  compact(): Promise<void>;
  /** Runs the garbage collector and the namespace controller too, if there is a kube-controller-manager. */
  startControllers(): Promise<boolean>;
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
    if (!(await isThere(join(assets, program)))) return `KUBEBUILDER_ASSETS has no ${program}`;
  }
  return undefined;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

export async function startApiServer(): Promise<ApiServer> {
  const assets = process.env.KUBEBUILDER_ASSETS ?? "";
  const folder = await mkdtemp(join(tmpdir(), "naru-api-server-"));
  const [etcdPort, peerPort, port] = await freePorts(3);
  const started: ChildProcess[] = [];
  const stop = async () => {
    // What they hold goes with them: there is nothing to end in order.
    for (const child of started.toReversed()) await kill(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const token = randomUUID();
    const limited = randomUUID();
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(join(folder, "sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(join(folder, "sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    await writeFile(
      join(folder, "tokens.csv"),
      `${token},admin,admin,system:masters\n${limited},limited,limited\n`,
      {
        mode: 0o600,
      },
    );
    const etcd = `http://127.0.0.1:${etcdPort}`;
    const startEtcd = () =>
      run(join(assets, "etcd"), folder, [
        `--data-dir=${join(folder, "etcd")}`,
        `--listen-client-urls=${etcd}`,
        `--advertise-client-urls=${etcd}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        "--unsafe-no-fsync",
        // Alone it has nobody to wait for before it leads: by default that would be a second or two of each start.
        "--heartbeat-interval=10",
        "--election-timeout=100",
      ]);
    let store = await startEtcd();
    started.push(store);
    const startServer = () =>
      run(join(assets, "kube-apiserver"), folder, [
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
      ]);
    let apiServer = await startServer();
    started.push(apiServer);
    const url = `https://127.0.0.1:${port}`;
    const kubeconfig = join(folder, "kubeconfig");
    const authority = join(folder, "certificates", "apiserver.crt");
    await until(`kube-apiserver's certificate in ${folder}`, started, () => readFile(authority, "utf8"));
    await writeFile(kubeconfig, kubeconfigFor(url, authority, token), { mode: 0o600 });
    const limitedKubeconfig = join(folder, "limited-kubeconfig");
    await writeFile(limitedKubeconfig, kubeconfigFor(url, authority, limited), { mode: 0o600 });
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
    const ready = () =>
      until("kube-apiserver's /readyz", started, async () => {
        const { status } = await call("GET", "/readyz");
        if (status !== 200) throw new Error(`/readyz answers ${status}`);
      });
    await ready();
    return {
      url,
      kubeconfig,
      limitedKubeconfig,
      kubectl: join(assets, "kubectl"),
      authority,
      request: call,
      restart: async () => {
        await kill(apiServer);
        const restarted = await startServer();
        started.splice(started.indexOf(apiServer), 1, restarted);
        apiServer = restarted;
        await ready();
      },
      restartEtcd: async () => {
        await kill(store);
        const restarted = await startEtcd();
        started.splice(started.indexOf(store), 1, restarted);
        store = restarted;
        await ready();
      },
      compact: async () => {
        const ask = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
          const answer = await request(`${etcd}/v3/kv/${path}`, {
            method: "POST",
            body: JSON.stringify(body),
          });
          if (answer.statusCode !== 200) throw new Error(`etcd: ${await answer.body.text()}`);
          return (await answer.body.json()) as { header: { revision: string } };
        };
        // The answer to a look at nothing names the current revision.
        const { header } = await ask("range", { key: "AA==" });
        await ask("compaction", { revision: header.revision, physical: true });
      },
      startControllers: async () => {
        const program = join(assets, "kube-controller-manager");
        if (!(await isThere(program))) return false;
        started.push(
          await run(program, folder, [
            `--kubeconfig=${kubeconfig}`,
            "--controllers=garbage-collector-controller,namespace-controller",
            "--leader-elect=false",
            "--secure-port=0",
          ]),
        );
        return true;
      },
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

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
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
