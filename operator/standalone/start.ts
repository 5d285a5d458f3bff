import fs from "node:fs";
import path from "node:path";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { Cluster } from "../engine/cluster.ts";
import { refOf } from "../engine/objects.ts";
import { newSocketPath, StandaloneApi } from "./api.ts";
import { StandaloneCluster } from "./cluster.ts";
import { Deployments } from "./deployments.ts";
import type { FileProblem, KindSchemas } from "./documents.ts";
import { ResourceFiles } from "./files.ts";
import { claimInstance } from "./instance.ts";
import { Jobs } from "./jobs.ts";
import { ProcessRegister } from "./orphans.ts";
import { Persistence } from "./persistence.ts";
import { podKind } from "./pod-types.ts";
import { Pods } from "./pods.ts";
import { PortPool } from "./ports.ts";
import { runtimeImages } from "./runtime-image.ts";
import { type ServiceAddress, Services } from "./services.ts";
import { shutdownWaves } from "./shutdown-order.ts";
import { logsDirectory, stateDirectory } from "./state.ts";
import { StatusFiles } from "./status-files.ts";
import { Store } from "./store.ts";
import type { Images } from "./supported.ts";

export interface StandaloneOptions {
  /** The folder of YAML files. */
  dir: string;
  /** Where state is kept; `.naru` in `dir` by default. */
  stateDir?: string;
  /** Schemas of the kinds that are read from files. */
  schemas: KindSchemas;
  /** The program that an image stands for, as a file for Node; Naru's own runtimes (RUNTIME_IMAGE) by default. */
  images?: Images;
  log(level: "info" | "warn" | "error", message: string): void;
  /** First wait before a container is restarted; 1 s by default, a tenth of the kubelet's. */
  backoffMilliseconds?: number;
  /** See ResourceFilesOptions. */
  files?: { settleMilliseconds?: number; goneMilliseconds?: number; pollMilliseconds?: number };
  now?: () => Date;
}

export interface Standalone {
  /** For the engine: it holds the files' resources already. */
  readonly cluster: Cluster;
  /** Where Services answer now. */
  addresses(): ServiceAddress[];
  /** What is wrong with the files now. */
  problems(): FileProblem[];
  /**
   * Ends every process in order (stop the engine first), and resolves when nothing is left. Called again while
   * it runs, it ends them by SIGKILL.
   */
  stop(): Promise<void>;
}

const quietCheckMilliseconds = 250;

/**
 * Runs a folder of resources on this machine: `cluster` is what the engine works on, and what it applies there
 * becomes processes, balancers and files.
 * @throws NaruError NoSuchFolder, StateUnwritable, StateUnreadable, AlreadyRunning
 */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const dir = path.resolve(options.dir);
  if (!fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new NaruError({
      code: "NoSuchFolder",
      message: `${options.dir} is not a folder`,
      remedy: "give the folder that holds your YAML files",
      status: 404,
    });
  }
  const stateDir = path.resolve(options.stateDir ?? stateDirectory(dir));
  try {
    fs.mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    fs.writeFileSync(path.join(stateDir, ".gitignore"), "*\n");
  } catch (error) {
    throw new NaruError({
      code: "StateUnwritable",
      message: `${stateDir} can't be written: ${messageOf(error)}`,
      remedy: "give another folder for the state, or make this one writable",
      cause: error,
    });
  }
  const socket = newSocketPath();
  let claim: { release(): void } | undefined;
  try {
    claim = claimInstance(stateDir, socket);
    return await run(options, dir, stateDir, socket, claim);
  } catch (error) {
    claim?.release();
    fs.rmSync(path.dirname(socket), { recursive: true, force: true });
    throw error;
  }
}

async function run(
  options: StandaloneOptions,
  dir: string,
  stateDir: string,
  socket: string,
  claim: { release(): void },
): Promise<Standalone> {
  const { schemas, images = runtimeImages, log } = options;
  const now = options.now ?? (() => new Date());
  const backoffMilliseconds = options.backoffMilliseconds ?? 1_000;
  const register = new ProcessRegister(path.join(stateDir, "processes"));
  for (const pid of register.reap())
    log("warn", `ended process ${pid}, which an earlier naru up left behind`);
  const ports = new PortPool();
  const hostsFile = path.join(stateDir, "hosts.json");
  const store = new Store({
    now,
    onHandlerError: (error) => log("error", `a watch handler failed: ${messageOf(error)}`),
    graceful: new Set([podKind.kind]),
  });
  const persistence = new Persistence(stateDir, store, log);
  const kinds = [...schemas.keys()].map((name) => {
    const slash = name.lastIndexOf("/");
    return { apiVersion: name.slice(0, slash), kind: name.slice(slash + 1) };
  });
  const isResource = (kind: { apiVersion: string; kind: string }) =>
    schemas.has(`${kind.apiVersion}/${kind.kind}`);
  const cluster = new StandaloneCluster({ store, images, isResource, now });
  const files = new ResourceFiles({
    dir,
    schemas,
    store,
    log,
    settleMilliseconds: options.files?.settleMilliseconds ?? 100,
    goneMilliseconds: options.files?.goneMilliseconds ?? 1_000,
    pollMilliseconds: options.files?.pollMilliseconds ?? 2_000,
  });
  files.start();
  const statusFiles = new StatusFiles(path.join(stateDir, "status"), kinds, store, log);
  // Ahead of the pods: a pod that ends leaves its balancers before it hears of it.
  const services = new Services({ store, ports, hostsFile, log });
  await services.settled();
  const pods = new Pods({
    store,
    ports,
    register,
    images,
    hostsFile,
    podsDir: path.join(stateDir, "pods"),
    logsDir: logsDirectory(stateDir),
    claimsDir: path.join(stateDir, "claims"),
    backoffMilliseconds,
    now,
    log,
    event: (pod, type, reason, message) =>
      cluster.event({ about: refOf(pod), uid: pod.metadata.uid, type, reason, message }),
  });
  const controllers = [new Deployments(store, now), new Jobs(store, now, backoffMilliseconds)];
  const api = new StandaloneApi(socket, {
    store,
    info: () => ({ pid: process.pid, dir, services: services.addresses(), problems: files.problems() }),
  });
  await api.listen();

  const end = async () => {
    files.close();
    for (const controller of controllers) controller.close();
    pods.skipPreStop();
    const quiet = setInterval(() => services.closeQuiet(), quietCheckMilliseconds);
    for (const wave of shutdownWaves(store)) {
      for (const pod of wave) store.delete(refOf(pod));
      // The deletion is told in a microtask, before this goes on.
      await Promise.resolve();
      await pods.ended();
    }
    clearInterval(quiet);
    pods.close();
    await services.close();
    await statusFiles.close();
    api.close();
    persistence.close();
    claim.release();
  };
  let stopping: Promise<void> | undefined;
  return {
    cluster,
    addresses: () => services.addresses(),
    problems: () => files.problems(),
    stop: () => {
      if (stopping !== undefined) pods.kill();
      stopping ??= end();
      return stopping;
    },
  };
}
