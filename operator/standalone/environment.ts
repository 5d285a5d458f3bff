import type { Container, EnvVar, KeyRef, Pod } from "./pod-types.ts";
import { contentOf, MissingConfig, type ReadConfig } from "./volumes.ts";

/** What a process gets of the user's own environment: enough to find programs, a proxy and certificates. */
const inherited = [
  "PATH",
  "HOME",
  "TMPDIR",
  "LANG",
  "TZ",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  // Where Node keeps what it compiled: a process that starts again is ready in half the time.
  "NODE_COMPILE_CACHE",
];

function fieldOf(pod: Pod, fieldPath: string): string {
  const { name, namespace, uid, labels, annotations } = pod.metadata;
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath);
  if (keyed !== null) return (keyed[1] === "labels" ? labels : annotations)?.[keyed[2] ?? ""] ?? "";
  const fields: Record<string, string> = {
    "metadata.name": name,
    "metadata.namespace": namespace,
    "metadata.uid": uid,
    "spec.nodeName": "standalone",
    "status.podIP": "127.0.0.1",
    "status.hostIP": "127.0.0.1",
  };
  const value = fields[fieldPath];
  if (value === undefined) throw new Error(`fieldRef ${fieldPath}: standalone does not know this field`);
  return value;
}

function keyOf(read: ReadConfig, kind: "ConfigMap" | "Secret", ref: KeyRef): string | undefined {
  const object = read(kind, ref.name);
  const value = object === undefined ? undefined : contentOf(object).get(ref.key);
  if (value !== undefined) return value.toString();
  if (ref.optional === true) return undefined;
  throw object === undefined ? new MissingConfig(kind, ref.name) : new MissingConfig(kind, ref.name, ref.key);
}

function resolved(variable: EnvVar, pod: Pod, read: ReadConfig): string | undefined {
  const { fieldRef, secretKeyRef, configMapKeyRef } = variable.valueFrom ?? {};
  if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath);
  if (secretKeyRef !== undefined) return keyOf(read, "Secret", secretKeyRef);
  if (configMapKeyRef !== undefined) return keyOf(read, "ConfigMap", configMapKeyRef);
  return variable.value ?? "";
}

/**
 * The environment of a container as a process of this machine. A value that is a mount path, or lies in one,
 * becomes the directory behind it; `NARU_<NAME>_PORT` that holds the declared port of that name becomes the one
 * that was allocated.
 * @throws MissingConfig where a ConfigMap, Secret or key is not there yet
 */
export function environmentOf(options: {
  container: Container;
  pod: Pod;
  read: ReadConfig;
  mounts: ReadonlyMap<string, string>;
  /** Declared port → allocated port. */
  ports: ReadonlyMap<number, number>;
  hostsFile: string;
  terminationLog: string;
}): Record<string, string> {
  const { container, pod, read, mounts, ports } = options;
  const environment: Record<string, string> = {};
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  environment.NARU_LISTEN_HOST = "127.0.0.1";
  environment.NARU_HOSTS_FILE = options.hostsFile;
  environment.NARU_TERMINATION_LOG = options.terminationLog;
  for (const variable of container.env ?? []) {
    const value = resolved(variable, pod, read);
    if (value === undefined) continue;
    const mount = [...mounts.keys()].find(
      (mountPath) => value === mountPath || value.startsWith(`${mountPath}/`),
    );
    const port = container.ports?.find(
      (candidate) =>
        variable.name === `NARU_${candidate.name?.toUpperCase()}_PORT` &&
        value === String(candidate.containerPort),
    );
    if (mount !== undefined) environment[variable.name] = `${mounts.get(mount)}${value.slice(mount.length)}`;
    else if (port !== undefined) environment[variable.name] = String(ports.get(port.containerPort) ?? value);
    else environment[variable.name] = value;
  }
  return environment;
}
