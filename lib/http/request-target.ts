import type { IncomingMessage, RequestListener } from "node:http";
import { NaruError } from "../errors.ts";
import { errorAnswer } from "./error-answer.ts";

const absolute = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/**
 * Hands `listener` requests whose target is a path, as nearly all are. The absolute form that clients send to a proxy
 * (`POST http://host/v2/… HTTP/1.1`) must be taken by any server, its host instead of the Host header's (RFC 9112 §3.2.2);
 * `OPTIONS *` asks about the server as a whole, which has nothing to say there, and the rest is no target of HTTP: 400.
 * A request of HTTP/1.1 without Host never comes here, since Node answers it 400.
 */
export function withPathTarget(listener: RequestListener): RequestListener {
  return (request, response) => {
    const target = request.url ?? "";
    if (target.charCodeAt(0) === SLASH || toPath(request, target)) {
      listener(request, response);
      return;
    }
    const { status, headers, body } = errorAnswer(invalidTarget());
    const bytes = Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      ...headers,
      "content-type": "application/json",
      "content-length": bytes.length,
      // What body the request may have is not read.
      connection: "close",
    });
    response.end(request.method === "HEAD" ? undefined : bytes);
  };
}

const SLASH = 0x2f;

/** Rewrites a target in absolute form, and Host with it; false where it is none. */
function toPath(request: IncomingMessage, target: string): boolean {
  const match = absolute.exec(target);
  const [, host, rest = ""] = match ?? [];
  if (host === undefined) return false;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  request.headers.host = host;
  const { rawHeaders } = request;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === "host") rawHeaders[i + 1] = host;
  }
  return true;
}

function invalidTarget(): NaruError {
  return new NaruError({
    code: "InvalidTarget",
    message: "the request's target is no path",
    remedy: "send a path that begins with a slash, or a whole http:// address",
    status: 400,
  });
}
