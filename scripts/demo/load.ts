import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type HeldOutImage, inferBody, readAnswer } from "./images.ts";
import { type Recent, RecentAnswers } from "./recent.ts";
import { Sweep } from "./sweep.ts";

const ANSWER_MILLISECONDS = 30_000;
const WINDOW_MILLISECONDS = 2000;
/** Of lost requests, as many reasons are kept: the first ones tell the story. */
const REASONS = 5;

export interface LoadOptions {
  /** `http://HOST:PORT/v2` as `naru up` printed it. */
  readonly address: string;
  readonly model: string;
  readonly images: readonly HeldOutImage[];
  /** Connections, each with one request at a time. */
  readonly clients: number;
  /** Most requests a second, all clients together. */
  readonly perSecond: number;
}

/**
 * Keep-alive clients that send the held-out images over and over, each request once: what is not answered 200 with
 * ten scores for its own id is lost.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #recent = new RecentAnswers(WINDOW_MILLISECONDS);
  readonly #reasons: string[] = [];
  readonly #clients: readonly Promise<void>[];
  #sent = 0;
  #lost = 0;
  #slot = 0;
  #going = true;
  #sweep: Sweep | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.clients });
    this.#clients = Array.from({ length: options.clients }, () => this.#client());
  }

  get address(): string {
    return this.#options.address;
  }

  get sent(): number {
    return this.#sent;
  }

  get lost(): number {
    return this.#lost;
  }

  get reasons(): readonly string[] {
    return this.#reasons;
  }

  recent(): Recent {
    return this.#recent.read(performance.now());
  }

  /** Share of the whole held-out set that is read rightly, by requests sent from now on. One sweep at a time. */
  async accuracy(signal: AbortSignal): Promise<number> {
    const sweep = new Sweep(this.#options.images.length, this.#sent);
    this.#sweep = sweep;
    return await sweep.finished(signal);
  }

  /** Ends after the requests under way. */
  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #client(): Promise<void> {
    while (this.#going) {
      await this.#turn();
      if (!this.#going) return;
      const index = this.#sent++;
      const began = performance.now();
      const result = await this.#ask(index);
      const ended = performance.now();
      if (typeof result === "string") {
        this.#lost += 1;
        const at = `after ${Math.round(ended - began)} ms, at ${new Date().toISOString()}`;
        if (this.#reasons.length < REASONS) this.#reasons.push(`${result} (${at})`);
      } else {
        this.#recent.add(ended, ended - began);
        this.#sweep?.answered(index, result.right);
      }
    }
  }

  /** Waits for this client's turn. Turns that nobody was free to take are not made up for. */
  async #turn(): Promise<void> {
    const now = performance.now();
    this.#slot = Math.max(this.#slot + 1000 / this.#options.perSecond, now);
    if (this.#slot > now) await delay(this.#slot - now);
  }

  /** Whether the image was read rightly, or in words why the request is lost. */
  async #ask(index: number): Promise<{ right: boolean } | string> {
    const image = this.#options.images[index % this.#options.images.length];
    if (image === undefined) throw new Error("there are no images");
    const id = `image-${index}`;
    const answer = await this.#post(inferBody(id, image));
    if (typeof answer === "string") return answer;
    const body = answer.body.toString();
    if (answer.status !== 200) return `${answer.status}: ${body.slice(0, 200)}`;
    const read = readAnswer(body, id);
    return "problem" in read ? read.problem : { right: read.digit === image.label };
  }

  #post(body: string): Promise<{ status: number; body: Buffer } | string> {
    const { address, model } = this.#options;
    return new Promise((resolve) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const options = { method: "POST", agent: this.#agent, headers };
      const call = request(`${address}/models/${model}/infer`, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", (error) => resolve(`the answer was cut: ${error.message}`));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
      });
      call.setTimeout(ANSWER_MILLISECONDS, () => call.destroy(new Error("no answer within 30 s")));
      call.on("error", (error) => resolve(error.message));
      call.end(body);
    });
  }
}
