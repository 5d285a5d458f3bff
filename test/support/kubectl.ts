import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { ApiServer } from "./api-server.ts";

/** Runs kubectl as the administrator. Rejects with what it said on standard error. */
export async function kubectl(
  server: Pick<ApiServer, "kubectl" | "kubeconfig">,
  args: readonly string[],
  input = "",
): Promise<{ stdout: string; stderr: string }> {
  const { code, ...said } = await tryKubectl(server, args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${code}\n${said.stderr}${said.stdout}`);
  return said;
}

/** The same for commands whose exit code is an answer. */
export async function tryKubectl(
  server: Pick<ApiServer, "kubectl" | "kubeconfig">,
  args: readonly string[],
  input = "",
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(server.kubectl, ["--kubeconfig", server.kubeconfig, ...args], {
    env: { ...process.env, HOME: "/nonexistent", ...env },
  });
  // A command that reads nothing may be over before this is written; whether it failed is its exit code's to say.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode, stdout, stderr };
}
