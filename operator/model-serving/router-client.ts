import { type RouterReport, routerReport } from "../../lib/config/router.ts";
import { PUSH_PURPOSE, type RouterOwner, SIGNATURE_HEADER } from "../../lib/config/router-push.ts";
import { NaruError } from "../../lib/errors.ts";
import { cut } from "../engine/text.ts";
import type { PushRefusal } from "./observed.ts";
import type { SentConfig } from "./router-config.ts";
import type { RouterSigner } from "./router-signer.ts";

/** A configuration, and the ModelServing whose routers it is for: no other router takes it. */
export interface RouterPush {
  readonly owner: RouterOwner;
  readonly config: SentConfig;
}

/** Talks to the admin port of a router pod. Every call ends within its signal's time. */
export interface RouterClient {
  /** @throws NaruError RouterUnreachable, RouterAnswerInvalid */
  status(address: string, signal: AbortSignal): Promise<RouterReport>;
  /**
   * Has the router apply a configuration. Resolves to why it does not take it: it holds the operator's word for none,
   * or has a newer one.
   *
   * @throws NaruError RouterUnreachable
   */
  configure(address: string, push: RouterPush, signal: AbortSignal): Promise<PushRefusal | undefined>;
}

/** A report has a few hundred numbers; more is not a report. */
const LONGEST_ANSWER_BYTES = 1024 * 1024;
/** Status shows it; whoever answers at a router's address must not fill it. */
const LONGEST_REFUSAL = 512;

/** Over HTTP, to pods that the operator owns and nobody else: no redirect is followed. */
export function httpRouterClient(signer: RouterSigner): RouterClient {
  return {
    async status(address, signal) {
      const response = await call(address, "/naru/status", { method: "GET", signal });
      const parsed = routerReport.safeParse(parseJson(await bounded(response, address)));
      if (!parsed.success) throw invalid(address, "its status has another shape");
      return parsed.data;
    },

    async configure(address, { owner, config }, signal) {
      // What is signed is what travels, byte for byte.
      const body = Buffer.from(JSON.stringify({ owner, config }), "utf8");
      const response = await call(address, "/naru/config", {
        method: "PUT",
        headers: {
          "content-type": "application/json",
          [SIGNATURE_HEADER]: signer.sign(PUSH_PURPOSE, body),
        },
        body,
        signal,
      });
      return refusalIn(response, address);
    },
  };
}

async function refusalIn(response: Response, address: string): Promise<PushRefusal | undefined> {
  if (response.ok) {
    await response.body?.cancel();
    return undefined;
  }
  const code = /^[A-Z][A-Za-z]{0,63}$/.exec(response.headers.get("naru-error-code") ?? "")?.[0];
  const answer = parseJson(await text(response, address));
  const said = typeof answer === "object" && answer !== null && "error" in answer ? answer.error : undefined;
  return {
    code: code ?? "PushRefused",
    message: cut(typeof said === "string" ? said : `it answers ${response.status}`, LONGEST_REFUSAL),
  };
}

async function call(address: string, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`http://${address}${path}`, { ...init, redirect: "error" });
  } catch (cause) {
    throw unreachable(address, cause);
  }
}

async function bounded(response: Response, address: string): Promise<string> {
  if (!response.ok) {
    await response.body?.cancel();
    throw invalid(address, `it answers ${response.status}`);
  }
  return text(response, address);
}

async function text(response: Response, address: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > LONGEST_ANSWER_BYTES) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    // A pod that ends in the middle of its answer is as good as one that gave none.
    throw unreachable(address, cause);
  }
  if (size > LONGEST_ANSWER_BYTES) throw invalid(address, "its answer is too long");
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

function unreachable(address: string, cause: unknown): NaruError {
  return new NaruError({
    code: "RouterUnreachable",
    message: `router ${address} does not answer`,
    remedy:
      "see whether the router pod runs, and whether a NetworkPolicy keeps the operator from its admin port",
    status: 503,
    cause,
  });
}

function invalid(address: string, what: string): NaruError {
  return new NaruError({
    code: "RouterAnswerInvalid",
    message: `router ${address}: ${what}`,
    remedy: "the router pod runs another version of Naru, or something else answers at its address",
    status: 502,
  });
}
