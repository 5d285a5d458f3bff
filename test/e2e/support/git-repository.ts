import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const AUTHOR = { name: "Naru's tests", email: "tests@naru.dev" };

/** A git repository in a folder of its own, whose branch is `main`. */
export interface GitRepository {
  readonly url: string;
  /** Copies a folder or a file of this tree to the same place. */
  copy(from: string, to: string): Promise<void>;
  write(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Answers the commit. */
  commit(message: string): Promise<string>;
  delete(): Promise<void>;
}

export async function newGitRepository(): Promise<GitRepository> {
  const folder = await mkdtemp(join(tmpdir(), "naru-e2e-git-"));
  const git = async (...args: string[]) => {
    const settings = ["-c", `user.name=${AUTHOR.name}`, "-c", `user.email=${AUTHOR.email}`];
    const { stdout } = await promisify(execFile)("git", [...settings, "-C", folder, ...args]);
    return stdout.trim();
  };
  await git("init", "--quiet", "--initial-branch", "main");
  return {
    url: `file://${folder}`,
    copy: (from, to) => cp(from, join(folder, to), { recursive: true }),
    async write(path, text) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    },
    remove: (path) => rm(join(folder, path), { recursive: true }),
    async commit(message) {
      await git("add", "--all");
      await git("commit", "--quiet", "--message", message);
      return git("rev-parse", "HEAD");
    },
    delete: () => rm(folder, { recursive: true, force: true }),
  };
}
