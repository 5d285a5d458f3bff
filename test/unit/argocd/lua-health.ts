import { readFile } from "node:fs/promises";
import { LuaFactory, LuaLibraries } from "wasmoon";

export interface Health {
  readonly status: string;
  readonly message: string;
}

const HEALTH = new URL(
  "../../../argocd/resource_customizations/naru.dev/ModelServing/health.lua",
  import.meta.url,
);
/** Argo CD's own limit. */
const LIMIT_MILLISECONDS = 1000;

export async function healthScript(): Promise<string> {
  return readFile(HEALTH, "utf8");
}

/**
 * What the script says of an object, with what Argo CD gives a script that comes from argocd-cm: the base and table
 * libraries, and `obj`.
 */
export async function healthOf(object: object, script: string): Promise<Health> {
  const engine = await new LuaFactory().createEngine({
    openStandardLibs: false,
    // Plain tables, as Argo CD's are.
    enableProxy: false,
    functionTimeout: LIMIT_MILLISECONDS,
  });
  try {
    for (const library of [LuaLibraries.Base, LuaLibraries.Table]) engine.global.loadLibrary(library);
    engine.global.set("obj", structuredClone(object));
    return (await engine.doString(script)) as Health;
  } finally {
    engine.global.close();
  }
}
