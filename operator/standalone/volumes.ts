import fs from "node:fs/promises";
import path from "node:path";
import type { KubeObject } from "../engine/objects.ts";
import { isObject } from "./fields.ts";
import type { ConfigSource, Container, PodSpec, Volume } from "./pod-types.ts";

/** What a pod reads of other objects: ConfigMaps and Secrets of its namespace. */
export type ReadConfig = (kind: "ConfigMap" | "Secret", name: string) => KubeObject | undefined;

/** What a pod waits for: it starts when the object is there, as on Kubernetes. */
export class MissingConfig extends Error {
  constructor(kind: string, name: string, key?: string) {
    super(`${kind} "${name}" ${key === undefined ? "not found" : `has no key "${key}"`}`);
    this.name = "MissingConfig";
  }
}

/** The content of a ConfigMap (`data`, `binaryData`) or Secret (`data` in base64, `stringData`). */
export function contentOf(object: KubeObject): Map<string, Buffer> {
  const content = new Map<string, Buffer>();
  const add = (field: unknown, encoding: "utf8" | "base64") => {
    for (const [key, value] of Object.entries(isObject(field) ? field : {})) {
      content.set(key, Buffer.from(String(value), encoding));
    }
  };
  add(object.data, object.kind === "Secret" ? "base64" : "utf8");
  add(object.binaryData, "base64");
  add(object.stringData, "utf8");
  return content;
}

function filesOf(
  read: ReadConfig,
  kind: "ConfigMap" | "Secret",
  name: string,
  source: ConfigSource,
): Map<string, Buffer> {
  const object = read(kind, name);
  const files = new Map<string, Buffer>();
  if (object === undefined) {
    if (source.optional === true) return files;
    throw new MissingConfig(kind, name);
  }
  const content = contentOf(object);
  const items = source.items ?? [...content.keys()].map((key) => ({ key, path: key }));
  for (const item of items) {
    const value = content.get(item.key);
    if (value !== undefined) files.set(item.path, value);
    else if (source.optional !== true) throw new MissingConfig(kind, name, item.key);
  }
  return files;
}

function volumeFiles(volume: Volume, read: ReadConfig): Map<string, Buffer> | undefined {
  const { configMap, secret, projected } = volume;
  if (configMap !== undefined) return filesOf(read, "ConfigMap", configMap.name, configMap);
  if (secret !== undefined) return filesOf(read, "Secret", secret.secretName, secret);
  if (projected === undefined) return undefined;
  return new Map(
    projected.sources.flatMap((source) => [
      ...(source.configMap ? filesOf(read, "ConfigMap", source.configMap.name, source.configMap) : []),
      ...(source.secret ? filesOf(read, "Secret", source.secret.name, source.secret) : []),
    ]),
  );
}

/** Writes by rename, so that a reader never sees half a file, and leaves alone what has not changed. */
export async function writeAtomically(file: string, content: string | Buffer, mode = 0o600): Promise<void> {
  const wanted = Buffer.from(content);
  const present = await fs.readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (present?.equals(wanted)) return;
  await fs.mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await fs.writeFile(temporary, wanted, { mode });
  await fs.rename(temporary, file);
}

/** Where the volumes of a pod lie: its own in `podDir`, claims in `claimsDir`, where they outlive it. */
function volumeDirectory(volume: Volume, podDir: string, claimsDir: string): string {
  const claim = volume.persistentVolumeClaim?.claimName;
  return claim === undefined ? path.join(podDir, "volumes", volume.name) : path.join(claimsDir, claim);
}

/**
 * Makes or refreshes every volume of a pod.
 * @throws MissingConfig where a ConfigMap, Secret or key is not there yet
 */
export async function writeVolumes(
  spec: PodSpec,
  podDir: string,
  claimsDir: string,
  read: ReadConfig,
): Promise<void> {
  for (const volume of spec.volumes ?? []) {
    const directory = volumeDirectory(volume, podDir, claimsDir);
    await fs.mkdir(directory, { recursive: true, mode: 0o700 });
    const files = volumeFiles(volume, read);
    if (files === undefined) continue;
    for (const [name, content] of files) await writeAtomically(inside(directory, name), content);
    for (const name of await fs.readdir(directory)) {
      const wanted = [...files.keys()].some((file) => file === name || file.startsWith(`${name}/`));
      if (!wanted) await fs.rm(path.join(directory, name), { recursive: true });
    }
  }
}

function inside(directory: string, name: string): string {
  const file = path.resolve(directory, name);
  if (!file.startsWith(directory + path.sep)) throw new Error(`"${name}" leads out of its volume`);
  return file;
}

/** Mount path → directory on this machine. */
export function mountsOf(
  container: Container,
  spec: PodSpec,
  podDir: string,
  claimsDir: string,
): Map<string, string> {
  const mounts = new Map<string, string>();
  for (const mount of container.volumeMounts ?? []) {
    const volume = spec.volumes?.find((candidate) => candidate.name === mount.name);
    if (volume === undefined) throw new Error(`volumeMount "${mount.name}" names no volume of the pod`);
    const directory = volumeDirectory(volume, podDir, claimsDir);
    mounts.set(mount.mountPath, mount.subPath === undefined ? directory : inside(directory, mount.subPath));
  }
  return mounts;
}
