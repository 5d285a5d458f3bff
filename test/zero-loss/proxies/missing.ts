import { spawnSync } from "node:child_process";

/** The proxies that this machine lacks; tests that need them are skipped, and say so. */
export function missingProxies(): readonly string[] {
  const missing = ["nginx", "haproxy"].filter((program) => spawnSync(program, ["-v"]).status !== 0);
  if (missing.length > 0)
    console.warn(`zero loss is skipped without ${missing.join(" and ")}: apt-get install nginx haproxy`);
  return missing;
}
