import fs from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { NaruError } from "../lib/errors.ts";
import type { StandaloneInfo } from "../operator/standalone/api.ts";
import { openStandalone, type StandaloneClient } from "../operator/standalone/client.ts";
import { stateDirectory } from "../operator/standalone/state.ts";

export interface Chosen {
  readonly client: StandaloneClient;
  readonly dir: string;
}

/**
 * The folder that a command speaks of: `--dir`, else this folder if `naru up` runs it, else the only one that
 * `naru up` runs, else this folder if it was run before.
 * @throws NaruError NothingRuns, SeveralRun
 */
export async function chooseInstance(dir: string | undefined): Promise<Chosen> {
  if (dir !== undefined) return known(dir);
  const here = openStandalone(".");
  if (here.running) return { client: here, dir: "." };
  const [only, ...others] = await runningFolders();
  if (only !== undefined && others.length === 0) return { client: openStandalone(only), dir: only };
  if (only !== undefined) {
    const names = [only, ...others].map((each) => path.relative(".", each) || ".").sort();
    throw new NaruError({
      code: "SeveralRun",
      message: `naru up runs several folders: ${names.join(", ")}`,
      remedy: "say which one with --dir",
      status: 409,
    });
  }
  if (await exists(stateDirectory("."))) return { client: here, dir: "." };
  throw new NaruError({
    code: "NothingRuns",
    message: "no naru up runs here",
    remedy: "start one in another terminal: naru up DIR",
    status: 503,
  });
}

/** What was stored is shown as it was; that nobody keeps it true any more has to be said. */
export function warnIfEnded({ client, dir }: Chosen): void {
  if (client.running) return;
  console.error(`warning: no naru up runs ${dir}: this is what was last known, and nothing of it serves now`);
}

async function known(dir: string): Promise<Chosen> {
  if (await exists(stateDirectory(dir))) return { client: openStandalone(dir), dir };
  throw new NaruError({
    code: "NothingRuns",
    message: `naru up never ran ${dir}`,
    remedy: `start it in another terminal: naru up ${dir}`,
    status: 503,
  });
}

async function exists(file: string): Promise<boolean> {
  return await fs.access(file).then(
    () => true,
    () => false,
  );
}

/** Folders that this user's `naru up` runs, found by their sockets; one that does not answer is left out. */
async function runningFolders(): Promise<string[]> {
  // Without a folder for temporary files nothing can run.
  const names = (await exists(os.tmpdir())) ? await fs.readdir(os.tmpdir()) : [];
  const folders = names.filter((name) => name.startsWith("naru-"));
  const dirs = await Promise.all(
    folders.map(async (name) => {
      const folder = path.join(os.tmpdir(), name);
      // Gone since it was listed, or somebody's: not one that could be asked.
      const uid = await fs.lstat(folder).then(
        (stat) => stat.uid,
        () => undefined,
      );
      return uid !== undefined && uid === process.getuid?.()
        ? await dirOf(path.join(folder, "api.sock"))
        : undefined;
    }),
  );
  return dirs.filter((dir) => dir !== undefined);
}

const ANSWER_MS = 1000;

function dirOf(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = http.get({ socketPath, path: "/v1/info", agent: false, timeout: ANSWER_MS }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", () => resolve(undefined));
      answer.once("end", () => {
        const info = JSON.parse(Buffer.concat(chunks).toString()) as StandaloneInfo;
        resolve(info.dir);
      });
    });
    call.once("timeout", () => call.destroy());
    call.once("error", () => resolve(undefined));
  });
}
