import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A port that was free a moment ago, for programs that cannot be told to take any. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Resolves when something accepts connections there; rejects when the program ends before. */
export async function accepts(port: number, program: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (program.exitCode !== null) throw new Error(`${program.spawnfile} ended with ${program.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const accepted = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (accepted) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Starts a program whose standard error is shown only when it fails. */
export function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const program = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  let said = "";
  program.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  program.on("exit", (code) => {
    if (code !== 0 && code !== null) process.stderr.write(`${command} ended with ${code}:\n${said}\n`);
  });
  program.on("error", (error) => process.stderr.write(`${command}: ${error.message}\n`));
  return program;
}

export async function end(program: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const exited = once(program, "exit");
  program.kill(signal);
  await exited;
}
