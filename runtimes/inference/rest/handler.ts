import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { InferenceConfig } from "../../../lib/config/inference.ts";
import { NaruError } from "../../../lib/errors.ts";
import type { BodyBudget, HeldBytes } from "../../../lib/http/body-budget.ts";
import { deadlineOf } from "../../../lib/http/deadline.ts";
import { errorAnswer } from "../../../lib/http/error-answer.ts";
import { type Logger, REQUEST_ID_HEADER, requestIdOf } from "../../../lib/telemetry/logger.ts";
import { encodeInferResponse } from "../../../lib/v2/infer-response.ts";
import { invalid, quote } from "../../../lib/v2/invalid.ts";
import { parseObject, readParameters } from "../../../lib/v2/json-body.ts";
import { rawInferRequest } from "../../../lib/v2/raw-request.ts";
import type { ModelRepository, ServerMetadata } from "../model.ts";
import { readBody } from "./body.ts";
import { ClientSignal } from "./client-signal.ts";
import { compress, decompress, encodingFor } from "./compression.ts";
import { RequestDecoder } from "./decode-thread.ts";
import { type Route, routeOf } from "./route.ts";

/** A question's or a command's body names a few parameters. */
const controlBytes = 64 * 1024;

const lengthHeader = "inference-header-content-length";

export interface RestOptions {
  readonly repository: ModelRepository;
  readonly config: Pick<InferenceConfig, "revision" | "maxRequestBytes" | "requestTimeoutMilliseconds">;
  readonly server: ServerMetadata;
  readonly bodies: BodyBudget;
  /** Takes new requests: false while the server drains. */
  readonly isReady: () => boolean;
  readonly log: Logger;
}

/** Answers the Open Inference Protocol's REST form on a `node:http` server. */
export function restHandler(options: RestOptions): RequestListener {
  const rest = new Rest(options);
  return (request, response) => {
    rest.handle(request, response).catch((thrown: unknown) => rest.fail(request, response, thrown));
  };
}

class Rest {
  readonly #options: RestOptions;
  readonly #decoder = new RequestDecoder();
  /** Sent with every answer. */
  readonly #common: readonly string[];

  constructor(options: RestOptions) {
    this.#options = options;
    this.#common = options.config.revision === "" ? [] : ["naru-revision", options.config.revision];
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(request.url ?? "");
    if (route === undefined) {
      throw invalid(
        "UnknownPath",
        `there is nothing at ${quote(request.url ?? "")}`,
        "use a path of the V2 protocol",
        404,
      );
    }
    if (route.kind === "infer") {
      this.#allow(response, "POST");
      return this.#infer(request, response, route.model, route.version);
    }
    return this.#other(request, response, route);
  }

  fail(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
    const answer = errorAnswer(thrown);
    const known = thrown instanceof NaruError;
    if (answer.status === 500) {
      const fields = {
        requestId: requestIdOf(request.headers),
        ...(known ? { code: thrown.code } : { err: thrown }),
      };
      this.#options.log.error(fields, "request failed");
    }
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    this.#send(
      request,
      response,
      answer.status,
      Object.entries(answer.headers).flat(),
      JSON.stringify(answer.body),
    );
  }

  async #infer(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    version: string | undefined,
  ): Promise<void> {
    const held = this.#options.bodies.open();
    try {
      await this.#answer(request, response, held, name, version);
    } finally {
      held.release();
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    held: HeldBytes,
    name: string,
    version: string | undefined,
  ): Promise<void> {
    const { repository, config } = this.#options;
    const { headers } = request;
    const model = repository.get(name, version);
    const deadline = deadlineOf(headers, config.requestTimeoutMilliseconds, performance.now());
    const headerLength = headerLengthOf(headers[lengthHeader]);
    const sent = await readBody(request, held, config.maxRequestBytes, headerLength);
    const encoding = headers["content-encoding"];
    const body =
      encoding === undefined ? sent : await decompress(sent, encoding, config.maxRequestBytes, held);
    const signal = new ClientSignal(request.socket);
    const decoded =
      headerLength === 0
        ? rawInferRequest(body, model.metadata.inputs)
        : this.#decoder.decode(body, headerLength, { signal, deadline });
    const inferRequest = decoded instanceof Promise ? await decoded : decoded;
    const answer = await model.infer(inferRequest, {
      signal,
      deadline,
      protocol: "rest",
    });
    const encoded = encodeInferResponse(answer, inferRequest);
    const accepted = headers["accept-encoding"];
    if (typeof encoded === "string") {
      if (accepted === undefined) this.#send(request, response, 200, [], encoded);
      else await this.#sendCompressed(request, response, [], Buffer.from(encoded), accepted);
      return;
    }
    const binaryHeaders = [
      "content-type",
      "application/octet-stream",
      lengthHeader,
      String(encoded.headerLength ?? encoded.body.length),
    ];
    await this.#sendCompressed(request, response, binaryHeaders, encoded.body, accepted);
  }

  async #sendCompressed(
    request: IncomingMessage,
    response: ServerResponse,
    headers: readonly string[],
    body: Buffer,
    accepted: string | undefined,
  ): Promise<void> {
    const encoding = encodingFor(accepted, body.length);
    if (encoding === undefined) {
      this.#send(request, response, 200, headers, body);
      return;
    }
    const compressed = await compress(body, encoding);
    this.#send(request, response, 200, [...headers, "content-encoding", encoding], compressed);
  }

  async #other(
    request: IncomingMessage,
    response: ServerResponse,
    route: Exclude<Route, { kind: "infer" }>,
  ): Promise<void> {
    const { repository, server, isReady } = this.#options;
    const json = (value: unknown): void => this.#send(request, response, 200, [], JSON.stringify(value));
    const health = (well: boolean, body: object): void =>
      this.#send(request, response, well ? 200 : 503, [], JSON.stringify(body));
    switch (route.kind) {
      case "live":
        this.#allow(response, "GET", "HEAD");
        return health(true, { live: true });
      case "ready": {
        this.#allow(response, "GET", "HEAD");
        const ready = isReady() && repository.ready;
        return health(ready, { ready });
      }
      case "serverMetadata":
        this.#allow(response, "GET");
        return json(server);
      case "allStatistics":
        this.#allow(response, "GET");
        return json({ model_stats: repository.statistics() });
      case "index":
        this.#allow(response, "POST", "GET");
        return json(await this.#index(request));
      case "load":
      case "unload":
        this.#allow(response, "POST");
        checkControl(await this.#small(request));
        await repository[route.kind](route.model);
        return json({});
      case "modelReady": {
        this.#allow(response, "GET", "HEAD");
        const ready = this.#modelReady(route.model, route.version);
        return health(ready, { name: route.model, ready });
      }
      case "modelMetadata":
        this.#allow(response, "GET");
        return json(repository.get(route.model, route.version).metadata);
      case "modelConfig":
        this.#allow(response, "GET");
        return json(repository.get(route.model, route.version).config());
      case "modelStatistics":
        this.#allow(response, "GET");
        return json({ model_stats: repository.statistics(route.model, route.version) });
    }
  }

  /** Triton's form: `{"ready": true}` asks for the ready ones only. */
  async #index(request: IncomingMessage): Promise<unknown> {
    const body = request.method === "POST" ? await this.#small(request) : Buffer.alloc(0);
    const entries = this.#options.repository.index();
    const readyOnly = body.length > 0 && parseObject(body.toString()).ready === true;
    return readyOnly ? entries.filter(({ state }) => state === "READY") : entries;
  }

  async #small(request: IncomingMessage): Promise<Buffer> {
    const held = this.#options.bodies.open();
    try {
      return await readBody(request, held, controlBytes);
    } finally {
      held.release();
    }
  }

  #modelReady(name: string, version: string | undefined): boolean {
    try {
      return this.#options.repository.get(name, version).ready;
    } catch (thrown) {
      if (
        thrown instanceof NaruError &&
        (thrown.code === "ModelNotReady" || thrown.code === "ModelNotLoaded")
      )
        return false;
      throw thrown;
    }
  }

  #allow(response: ServerResponse, ...methods: readonly string[]): void {
    const { method = "" } = response.req;
    if (methods.includes(method)) return;
    // RFC 9110 §15.5.6 asks for it.
    response.setHeader("allow", methods.join(", "));
    throw invalid(
      "MethodNotAllowed",
      `${quote(method)} is not for this path`,
      `use ${methods.join(" or ")}`,
      405,
    );
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: readonly string[],
    body: string | Buffer,
  ): void {
    if (response.destroyed) return;
    const all = [...this.#common, ...headers];
    if (headers[0] !== "content-type") all.push("content-type", "application/json");
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    all.push("content-length", String(length));
    const id = request.headers[REQUEST_ID_HEADER];
    if (id !== undefined) all.push(REQUEST_ID_HEADER, requestIdOf(request.headers));
    response.writeHead(status, all);
    if (request.method === "HEAD" || length === 0) response.end();
    else response.end(body);
  }
}

/** Triton's load takes another configuration, or the model's bytes, from whoever asks; here both are declared. */
function checkControl(body: Buffer): void {
  const parameters = body.length === 0 ? {} : readParameters(parseObject(body.toString()));
  for (const name of Object.keys(parameters)) {
    if (name !== "unload_dependents") {
      throw invalid(
        "UnsupportedParameter",
        `load and unload take no parameter ${quote(name)}`,
        "declare the model and its settings in the ModelServing",
      );
    }
  }
}

function headerLengthOf(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return Number(value);
  throw invalid(
    "InvalidRequest",
    "Inference-Header-Content-Length is not a number of bytes",
    "set it to the length of the JSON part, or leave it out",
  );
}
