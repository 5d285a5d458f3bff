import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf, NaruError } from "../../lib/errors.ts";
import { DEFAULT_TIMING, type ElectionTiming } from "../kube/election.ts";
import { SERVICE_ACCOUNT_FOLDER } from "../kube/service-account.ts";
import { type ListenAddress, readAddress } from "./address.ts";

/** What the operator is told by its command line and its environment. */
export interface ManagerOptions {
  readonly logLevel: string;
  /** With token, ca.crt and namespace; undefined: a kubeconfig, or the pod's own. */
  readonly serviceAccountFolder?: string;
  /** The operator's own: of its signing keys, and where NetworkPolicies let it come from. */
  readonly namespace: string;
  readonly leaseNamespace: string;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
  readonly leaderElect: boolean;
  readonly timing: ElectionTiming;
  /** Resources of one kind that are reconciled at once. */
  readonly concurrency: number;
  readonly runtimeImage: string;
  readonly clusterDomain?: string;
  readonly prometheusUrl?: string;
  /** Undefined: not served. */
  readonly metricsAddress: ListenAddress | undefined;
  readonly healthAddress: ListenAddress | undefined;
  /** Of the loopback address; undefined: not served. */
  readonly profilingPort: number | undefined;
}

interface Parsed {
  logLevel: string;
  serviceAccountFolder?: string;
  namespace?: string;
  leaseNamespace?: string;
  watchNamespaces: string[];
  leaderElect: boolean;
  leaderElectLeaseDuration: number;
  leaderElectRenewDeadline: number;
  leaderElectRetryPeriod: number;
  concurrency: number;
  runtimeImage: string;
  clusterDomain?: string;
  prometheusUrl?: string;
  metricsAddress: string;
  healthAddress: string;
  profilingPort?: number;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
/** An RFC 1123 label. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const MAX_CONCURRENCY = 64;

/**
 * Reads the command line, and the environment for what it leaves out. Asked for help or the version, or told what
 * makes no sense, it prints and throws as commander does.
 * @throws CommanderError, NaruError NamespaceUnknown
 */
export function readOptions(
  args: readonly string[],
  version: string,
  podFolder = SERVICE_ACCOUNT_FOLDER,
): ManagerOptions {
  const command = manager(version).exitOverride();
  command.parse(args, { from: "user" });
  const given = command.opts<Parsed>();
  const { serviceAccountFolder } = given;
  const namespace = given.namespace ?? namespaceIn(serviceAccountFolder ?? podFolder);
  return {
    logLevel: given.logLevel,
    ...(serviceAccountFolder === undefined ? {} : { serviceAccountFolder }),
    namespace,
    leaseNamespace: given.leaseNamespace ?? namespace,
    watchNamespaces: given.watchNamespaces,
    leaderElect: given.leaderElect,
    timing: {
      leaseDuration: given.leaderElectLeaseDuration,
      renewDeadline: given.leaderElectRenewDeadline,
      retryPeriod: given.leaderElectRetryPeriod,
    },
    concurrency: given.concurrency,
    runtimeImage: given.runtimeImage,
    ...(given.clusterDomain === undefined ? {} : { clusterDomain: given.clusterDomain }),
    ...(given.prometheusUrl === undefined ? {} : { prometheusUrl: given.prometheusUrl }),
    metricsAddress: readAddress(given.metricsAddress),
    healthAddress: readAddress(given.healthAddress),
    profilingPort: given.profilingPort,
  };
}

function manager(version: string): Command {
  const { leaseDuration, renewDeadline, retryPeriod } = DEFAULT_TIMING;
  return new Command("naru-operator")
    .description("Reconciles Naru's resources on a Kubernetes cluster, which it finds as kubectl does.")
    .version(version)
    .allowExcessArguments(false)
    .addOption(
      new Option("--runtime-image <image>", "image of Naru's runtimes, by digest")
        .env("NARU_RUNTIME_IMAGE")
        .argParser(image)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        "--service-account-folder <path>",
        "where a service account's token, ca.crt and namespace are (default: a kubeconfig, else the pod's)",
      ),
    )
    .addOption(
      new Option("--namespace <name>", "the operator's own (default: the pod's)")
        .env("POD_NAMESPACE")
        .argParser(oneNamespace),
    )
    .addOption(
      new Option("--watch-namespaces <names>", "namespaces to work in, separated by commas (default: all)")
        .env("NARU_WATCH_NAMESPACES")
        .argParser((text) => text.split(",").filter(Boolean).map(oneNamespace))
        .default([], "all"),
    )
    .addOption(
      new Option("--log-level <level>", "least level that is logged")
        .env("NARU_LOG_LEVEL")
        .choices(LEVELS)
        .default("info"),
    )
    .addOption(new Option("--leader-elect", "let one of several replicas work at a time").default(true))
    .addOption(new Option("--no-leader-elect", "work at once: for a single replica only"))
    .addOption(
      new Option("--lease-namespace <name>", "where the lease is (default: the operator's own)").argParser(
        oneNamespace,
      ),
    )
    .addOption(milliseconds("--leader-elect-lease-duration", "until others take it", leaseDuration))
    .addOption(milliseconds("--leader-elect-renew-deadline", "until its holder stops", renewDeadline))
    .addOption(milliseconds("--leader-elect-retry-period", "between two tries", retryPeriod))
    .addOption(
      new Option("--concurrency <number>", "resources of one kind that are reconciled at once")
        .argParser((text) => integer(text, 1, MAX_CONCURRENCY))
        .default(8),
    )
    .addOption(address("--metrics-address", "/metrics", ":8080"))
    .addOption(address("--health-address", "/healthz and /readyz", ":8081"))
    .addOption(
      new Option(
        "--profiling-port <port>",
        "where the loopback address serves /debug/cpu and /debug/heap",
      ).argParser((text) => integer(text, 0, 65_535)),
    )
    .addOption(new Option("--cluster-domain <name>", "appended to Services' names in addresses"))
    .addOption(new Option("--prometheus-url <url>", "Prometheus that KEDA asks for Naru's metrics"));
}

function milliseconds(flag: string, what: string, standard: number): Option {
  return new Option(`${flag} <duration>`, what).argParser(duration).default(standard, `${standard / 1000}s`);
}

function address(flag: string, what: string, standard: string): Option {
  return new Option(`${flag} <host:port>`, `where ${what} is served; 0: nowhere`)
    .argParser((text) => {
      try {
        readAddress(text);
        return text;
      } catch (thrown) {
        throw new InvalidArgumentError(thrown instanceof RangeError ? thrown.message : String(thrown));
      }
    })
    .default(standard);
}

/** Milliseconds of `15s`, `1m` or `500ms`: of Go's notation what has one number. */
function duration(text: string): number {
  const match = /^(\d{1,6})(ms|s|m)$/.exec(text);
  if (match === null) throw new InvalidArgumentError("A duration is a number and ms, s or m, such as 15s.");
  return Number(match[1]) * ({ ms: 1, s: 1000, m: 60_000 }[match[2] ?? ""] ?? 1);
}

function integer(text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
}

function oneNamespace(text: string): string {
  if (NAMESPACE.test(text)) return text;
  throw new InvalidArgumentError(`${text} is no name of a namespace.`);
}

/** By digest or by tag: whether a tag may be trusted not to move is the administrator's to say. */
function image(text: string): string {
  if (text !== "" && !/\s/.test(text)) return text;
  throw new InvalidArgumentError("It is an image, such as registry.example/naru-runtimes@sha256:….");
}

function namespaceIn(folder: string): string {
  const file = join(folder, "namespace");
  const unknown = (why: string, cause?: unknown) =>
    new NaruError({
      code: "NamespaceUnknown",
      message: `the operator is told no namespace of its own, and can't read it from ${file}: ${why}`,
      remedy: "outside a cluster, give --namespace",
      status: 400,
      cause,
    });
  let name: string;
  try {
    name = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw unknown(messageOf(cause), cause);
  }
  if (name === "") throw unknown("it is empty");
  return name;
}
