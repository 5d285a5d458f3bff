import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { messageOf, NaruError } from "../errors.ts";

/**
 * Reads and checks a configuration file that the operator mounted, as `inference.json`.
 *
 * @throws NaruError InvalidConfig, naming the file and the field.
 */
export async function readConfigFile<S extends z.ZodType>(
  directory: string,
  name: string,
  schema: S,
): Promise<z.output<S>> {
  const path = join(directory, name);
  let document: unknown;
  try {
    document = JSON.parse(await readFile(path, "utf8"));
  } catch (thrown) {
    throw invalidConfig(path, messageOf(thrown), thrown);
  }
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join(".") || "document"}: ${issue.message}`);
  throw invalidConfig(path, wrong.join("; "));
}

function invalidConfig(path: string, wrong: string, cause?: unknown): NaruError {
  return new NaruError({
    code: "InvalidConfig",
    message: `${path}: ${wrong}`,
    remedy: "The operator writes this file: check that it and the runtime image are of one release.",
    cause,
  });
}
