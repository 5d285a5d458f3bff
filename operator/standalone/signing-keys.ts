import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { SigningKeyStore } from "../model-serving/router-signer.ts";

/** The operator's signing keys as a file of the state folder that only its user can read. */
export function signingKeyFile(stateDir: string): SigningKeyStore {
  const file = path.join(stateDir, "signing-keys.pem");
  const read = async () => {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw new NaruError({
        code: "StateUnreadable",
        message: `${file}: ${messageOf(error)}`,
        remedy: `make ${file} readable, or remove it: a new key is made, and nothing else is lost`,
        cause: error,
      });
    }
  };
  return {
    read,
    async create(pem) {
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      // Linked whole: a process that ends in between leaves no half of a key behind.
      const made = `${file}.${randomUUID()}`;
      try {
        await writeFile(made, pem, { mode: 0o600, flag: "wx" });
        await link(made, file);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST"))
          throw unwritable(file, error);
      } finally {
        await rm(made, { force: true });
      }
      return (await read()) ?? pem;
    },
  };
}

function unwritable(file: string, error: unknown): NaruError {
  return new NaruError({
    code: "StateUnwritable",
    message: `${file} can't be written: ${messageOf(error)}`,
    remedy: "give another folder for the state, or make this one writable",
    cause: error,
  });
}
