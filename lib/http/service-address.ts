import { readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { z } from "zod";
import { messageOf } from "../errors.ts";

const hostsFile = z.record(z.string(), z.string());

export interface ServiceAddresses {
  /**
   * The same URL with the address in place of the Service's name, where the hosts file knows `name:port`; else
   * the URL as it is, for DNS. Ask for each connection: the answer changes.
   */
  resolve(url: string): string;
  close(): void;
}

/**
 * Where Services answer. In a cluster DNS knows; standalone has no DNS and writes a file instead
 * (`NARU_HOSTS_FILE`, a JSON map of `digits-stable.default.svc:80` to `127.0.0.1:41234`), which is read again
 * when it changes. A file that can't be read leaves the last good map in place and is told to `onProblem`.
 */
export function openServiceAddresses(
  path: string | undefined = process.env.NARU_HOSTS_FILE,
  onProblem: (message: string) => void = () => undefined,
): ServiceAddresses {
  if (path === undefined || path === "") return { resolve: (url) => url, close: () => undefined };

  let text = "";
  let addresses = new Map<string, string>();
  const read = () => {
    try {
      const next = readFileSync(path, "utf8");
      if (next === text) return;
      addresses = new Map(Object.entries(hostsFile.parse(JSON.parse(next))));
      text = next;
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")) {
        onProblem(`hosts file ${path}: ${messageOf(thrown)}`);
      }
    }
  };

  // The folder, since the file is replaced by a rename; and before the first read, so that no change is missed.
  const name = basename(path);
  const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
    if (changed === null || changed === name) read();
  });
  watcher.on("error", (error) => onProblem(`hosts file ${path}: ${error.message}`));
  read();

  return {
    resolve(url) {
      const parsed = new URL(url);
      const port = parsed.port === "" ? (parsed.protocol === "https:" ? "443" : "80") : parsed.port;
      const address = addresses.get(`${parsed.hostname}:${port}`);
      if (address === undefined) return url;
      const path = parsed.pathname === "/" && !url.endsWith("/") ? "" : parsed.pathname;
      return `${parsed.protocol}//${address}${path}${parsed.search}`;
    },
    close: () => watcher.close(),
  };
}
