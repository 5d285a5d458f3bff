import { naruVersion } from "../lib/process/version.ts";

/** `naru 0.1.0 (Node.js v24.21.0)` */
export function versionText(): string {
  return `naru ${naruVersion()} (Node.js ${process.version})`;
}
