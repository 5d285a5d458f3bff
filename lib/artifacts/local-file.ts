import { type FileHandle, open } from "node:fs/promises";
import { messageOf } from "../errors.ts";
import { invalidUri, sourceForbidden, sourceNotFound } from "./failures.ts";
import { isMissing } from "./partial-file.ts";
import type { RemoteFile } from "./remote-file.ts";

/** A `file:///` source, as standalone and volumes have it. It is copied: who edits it must not edit the cache. */
export function localFile(uri: string, path: string): RemoteFile {
  return {
    async open({ start }) {
      const handle = await opened(uri, path);
      const info = await handle.stat();
      if (!info.isFile()) {
        await handle.close();
        throw invalidUri(uri, "not a file");
      }
      // A file that shrank since is read anew.
      const from = start <= info.size ? start : 0;
      return {
        start: from,
        total: info.size,
        validator: `"${info.ino}-${info.size}-${info.mtimeMs}"`,
        body: handle.createReadStream({ start: from, highWaterMark: 1024 * 1024 }),
      };
    },
  };
}

async function opened(uri: string, path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (thrown) {
    if (isMissing(thrown)) throw sourceNotFound(uri);
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EACCES") {
      throw sourceForbidden(uri, 403, messageOf(thrown));
    }
    throw thrown;
  }
}
