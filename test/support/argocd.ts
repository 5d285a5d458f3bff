import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const PINNED = join(import.meta.dirname, "../e2e/argocd/go.mod");

/** Argo CD, and what it is installed with. */
export interface ArgoCdFiles {
  /** Acts as the program that `ARGOCD_BINARY_NAME` names. */
  readonly program: string;
  /** Folder of programs that it looks for on PATH. */
  readonly bin: string;
  /** Folders of its definitions and of its settings as they are by default. */
  readonly definitions: string;
  readonly settings: string;
}

/** Where test/support/install-argocd.sh put it; undefined where it did not. */
export function findArgoCd(): ArgoCdFiles | undefined {
  const version = /argo-cd\/v3 v(\S+)/.exec(readFileSync(PINNED, "utf8"))?.[1];
  if (version === undefined) throw new Error(`${PINNED} pins no Argo CD`);
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "naru-argocd", version);
  const program = join(folder, "argocd");
  if (!existsSync(program)) return undefined;
  return {
    program,
    bin: join(folder, "bin"),
    definitions: join(folder, "crds"),
    settings: join(folder, "config"),
  };
}

/** What is said where it is missing. */
export const NO_ARGOCD = "there is no Argo CD: test/support/install-argocd.sh builds it";
