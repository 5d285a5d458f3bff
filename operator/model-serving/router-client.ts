import { type RouterConfig, type RouterReport, routerReport } from "../../lib/config/router.ts";
import { NaruError } from "../../lib/errors.ts";

/** Talks to the admin port of a router pod. Every call ends within its signal's time. */
export interface RouterClient {
  /** @throws NaruError RouterUnreachable, RouterAnswerInvalid */
  status(address: string, signal: AbortSignal): Promise<RouterReport>;
  /** Has the router apply a configuration. @throws NaruError RouterUnreachable */
  configure(address: string, config: RouterConfig, signal: AbortSignal): Promise<void>;
}

/** A report has a few hundred numbers; more is not a report. */
const LONGEST_ANSWER_BYTES = 1024 * 1024;

/** Over HTTP, to pods that the operator owns and nobody else: no redirect is followed. */
export const httpRouterClient: RouterClient = {
  async status(address, signal) {
    const response = await call(address, "/naru/status", { method: "GET", signal });
    const parsed = routerReport.safeParse(parseJson(await bounded(response, address)));
    if (!parsed.success) throw invalid(address, "its status has another shape");
    return parsed.data;
  },

  async configure(address, config, signal) {
    const response = await call(address, "/naru/config", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(config),
      signal,
    });
    // What is wrong with a refused configuration is in the router's status.
    await response.body?.cancel();
  },
};

async function call(address: string, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`http://${address}${path}`, { ...init, redirect: "error" });
  } catch (cause) {
    throw new NaruError({
      code: "RouterUnreachable",
      message: `router ${address} does not answer`,
      remedy:
        "see whether the router pod runs, and whether a NetworkPolicy keeps the operator from its admin port",
      status: 503,
      cause,
    });
  }
}

async function bounded(response: Response, address: string): Promise<string> {
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw invalid(address, `it answers ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > LONGEST_ANSWER_BYTES) throw invalid(address, "its status is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON fails the schema like any other shape.
    return undefined;
  }
}

function invalid(address: string, what: string): NaruError {
  return new NaruError({
    code: "RouterAnswerInvalid",
    message: `router ${address}: ${what}`,
    remedy: "the router pod runs another version of Naru, or something else answers at its address",
    status: 502,
  });
}
