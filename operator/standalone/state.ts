import path from "node:path";

/** Where `naru up DIR` keeps what is its own: objects, logs, claimed volumes, the hosts file, status files. */
export function stateDirectory(dir: string): string {
  return path.join(path.resolve(dir), ".naru");
}

/** `NAMESPACE/POD/CONTAINER.log` */
export function logsDirectory(stateDir: string): string {
  return path.join(stateDir, "logs");
}
