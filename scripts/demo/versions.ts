import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const resource = z.object({ spec: z.object({ model: z.object({ sha256: z.string() }) }) });

/** Names the versions in a folder of resources by the digest of their model: `v2.yaml` is `v2`. */
export function readVersions(folder: string): (digest: string | undefined) => string {
  const names = new Map(
    readdirSync(folder)
      .filter((file) => file.endsWith(".yaml"))
      .map((file) => [
        resource.parse(parse(readFileSync(path.join(folder, file), "utf8"))).spec.model.sha256,
        path.basename(file, ".yaml"),
      ]),
  );
  return (digest) => (digest === undefined ? "?" : (names.get(digest) ?? digest.slice(0, 8)));
}
