import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { messageOf, NaruError } from "../../lib/errors.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { KubeObject, ObjectRef } from "../engine/objects.ts";
import type { FileProblem } from "./documents.ts";
import type { ServiceAddress } from "./services.ts";
import type { Store } from "./store.ts";

/** `GET /v1/info`: how a running `naru up` is. */
export interface StandaloneInfo {
  readonly pid: number;
  readonly dir: string;
  readonly services: readonly ServiceAddress[];
  readonly problems: readonly FileProblem[];
}

export interface ApiOptions {
  store: Store;
  info(): StandaloneInfo;
}

/** Field manager of annotations that are set through the API. */
const cliManager = "naru-cli";
const maxBodyBytes = 64 * 1024;

/** What every kernel takes for a socket's path (macOS the least), without its terminating zero. */
const maxSocketPathBytes = 103;

/**
 * A folder that only this user can enter, with room for a socket whose path stays short enough for the kernel.
 * @throws NaruError NoTemporaryFolder
 */
export function newSocketPath(): string {
  const prefix = path.join(os.tmpdir(), "naru-");
  if (Buffer.byteLength(`${prefix}XXXXXX/api.sock`) > maxSocketPathBytes) {
    throw noTemporaryFolder("its path is too long for a socket in it");
  }
  try {
    return path.join(fs.mkdtempSync(prefix), "api.sock");
  } catch (error) {
    throw noTemporaryFolder(messageOf(error));
  }
}

function noTemporaryFolder(why: string): NaruError {
  return new NaruError({
    code: "NoTemporaryFolder",
    message: `the folder for temporary files, ${os.tmpdir()}, can't be used: ${why}`,
    remedy: "set TMPDIR to a folder that is there, that you may write to, and whose path is short",
  });
}

/**
 * What `naru get`, `describe`, `promote` and the like talk to: JSON over HTTP on a unix socket that only this
 * user can open.
 *
 * - `GET /v1/info`
 * - `GET /v1/objects[?apiVersion=&kind=[&namespace=][&name=]]` answers `{ items }`
 * - `PATCH /v1/annotations?apiVersion=&kind=&namespace=&name=` with `{ name: value | null }` answers the object
 * - `DELETE /v1/objects?apiVersion=&kind=&namespace=&name=`
 */
export class StandaloneApi {
  readonly socket: string;
  readonly #options: ApiOptions;
  readonly #server: http.Server;

  constructor(socket: string, options: ApiOptions) {
    this.socket = socket;
    this.#options = options;
    this.#server = http.createServer((request, response) => {
      this.#answer(request)
        .then((body) => send(response, 200, body))
        .catch((error) => {
          const code = error instanceof ClusterError ? error.code : "Internal";
          const status = { NotFound: 404, Conflict: 409, Invalid: 422 }[code as string] ?? 500;
          send(response, status, { code, message: messageOf(error) });
        });
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.socket, resolve);
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    fs.rmSync(path.dirname(this.socket), { recursive: true, force: true });
  }

  async #answer(request: http.IncomingMessage): Promise<unknown> {
    const { store, info } = this.#options;
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://standalone");
    const field = (name: string) => searchParams.get(name) ?? "";
    const ref: ObjectRef = {
      apiVersion: field("apiVersion"),
      kind: field("kind"),
      namespace: field("namespace") || "default",
      name: field("name"),
    };
    switch (`${request.method} ${pathname}`) {
      case "GET /v1/info":
        return info();
      case "GET /v1/objects": {
        const narrow = (object: KubeObject) =>
          [...searchParams].every(([name, value]) =>
            name === "apiVersion" || name === "kind"
              ? object[name] === value
              : object.metadata[name as "name"] === value,
          );
        return { items: store.all().filter(narrow) };
      }
      case "PATCH /v1/annotations":
        return store.annotate(ref, cliManager, annotationsOf(await readBody(request)));
      case "DELETE /v1/objects": {
        if (store.get(ref) === undefined)
          throw new ClusterError("NotFound", `${ref.kind}/${ref.name} does not exist`);
        store.delete(ref);
        return {};
      }
      default:
        throw new ClusterError("NotFound", `${request.method} ${pathname} is not part of this API`);
    }
  }
}

function annotationsOf(body: string): Record<string, string | null> {
  const value: unknown = JSON.parse(body);
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
  if (entries.length === 0 || !entries.every(([, text]) => text === null || typeof text === "string")) {
    throw new ClusterError("Invalid", "annotations must be a map of strings, or null to remove one");
  }
  return Object.fromEntries(entries);
}

async function readBody(request: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new ClusterError("Invalid", "the body is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function send(response: http.ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
