import { Agent, request } from "node:http";

/** One request as the load sends it, and what makes its answer a good one. */
export interface Shot {
  readonly path: string;
  readonly body: Buffer | string;
  readonly headers: Readonly<Record<string, string>>;
  /** The reason why the body is no good answer, or undefined. */
  readonly wrong: (body: Buffer) => string | undefined;
}

export interface Loss {
  /** Milliseconds since the load began. */
  readonly at: number;
  readonly reason: string;
}

export interface LoadReport {
  readonly sent: number;
  readonly answered: number;
  readonly lost: readonly Loss[];
  readonly milliseconds: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly clients: number;
  readonly keepAlive: boolean;
  /** The shot of each number, from 0. */
  readonly shot: (index: number) => Shot;
  /** Pause of a client between two of its requests. */
  readonly thinkMilliseconds?: number;
  /**
   * All clients pause together: `busy` milliseconds of load, then a gap. Gaps around the proxy's idle time-out are
   * when it sends requests into connections that are just being closed.
   */
  readonly bursts?: {
    readonly busyMilliseconds: number;
    readonly gapMilliseconds: (burst: number) => number;
  };
}

export interface Load {
  /** Sent so far. */
  readonly sent: () => number;
  /** Lost so far. */
  readonly lost: () => number;
  /** Ends after the requests under way; a request that was sent is always accounted for. */
  finish(): Promise<LoadReport>;
}

/** Sends requests until it is told to finish. A request is lost when it is not answered 200 with a good body. */
export function startLoad(options: LoadOptions): Load {
  const began = performance.now();
  const agent = new Agent({ keepAlive: options.keepAlive, maxSockets: options.clients });
  const lost: Loss[] = [];
  let sent = 0;
  let answered = 0;
  let going = true;

  const pauseUntilBurst = burstClock(options, began);

  async function client(): Promise<void> {
    while (going) {
      await pauseUntilBurst();
      if (!going) return;
      const shot = options.shot(sent++);
      const reason = await send(options.url, agent, shot);
      if (reason === undefined) answered++;
      else lost.push({ at: Math.round(performance.now() - began), reason });
      if (options.thinkMilliseconds !== undefined) await delay(options.thinkMilliseconds);
    }
  }

  const clients = Array.from({ length: options.clients }, client);
  return {
    sent: () => sent,
    lost: () => lost.length,
    async finish() {
      going = false;
      await Promise.all(clients);
      agent.destroy();
      return { sent, answered, lost, milliseconds: Math.round(performance.now() - began) };
    },
  };
}

function burstClock({ bursts }: LoadOptions, began: number): () => Promise<void> {
  if (bursts === undefined) return () => Promise.resolve();
  let burst = 0;
  let busyUntil = began + bursts.busyMilliseconds;
  let resumeAt = 0;
  return async () => {
    const now = performance.now();
    if (now >= busyUntil && now >= resumeAt) {
      resumeAt = now + bursts.gapMilliseconds(burst++);
      busyUntil = resumeAt + bursts.busyMilliseconds;
    }
    if (now < resumeAt) await delay(resumeAt - now);
  };
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Sends one request, never twice. Resolves with the reason for which it counts as lost, or undefined. */
function send(url: string, agent: Agent, shot: Shot): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = request(
      `${url}${shot.path}`,
      { method: "POST", agent, headers: { ...shot.headers, "content-length": Buffer.byteLength(shot.body) } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", (error) => resolve(`answer cut: ${error.message}`));
        incoming.on("end", () => {
          const body = Buffer.concat(chunks);
          if (incoming.statusCode !== 200)
            resolve(`${incoming.statusCode}: ${body.toString("utf8", 0, 200)}`);
          else resolve(shot.wrong(body));
        });
      },
    );
    outgoing.setTimeout(30_000, () => outgoing.destroy(new Error("no answer within 30 s")));
    outgoing.on("error", (error) => resolve(error.message));
    outgoing.end(shot.body);
  });
}
