import { createHash } from "node:crypto";
import net from "node:net";
import { NaruError } from "../../lib/errors.ts";

/** Below the ports that Linux and macOS hand to outgoing connections, which would otherwise collide at times. */
const serviceRange = { from: 20_000, to: 27_999 };
const podRange = { from: 28_000, to: 32_767 };

/** Whether a listener of ours could have the port on 127.0.0.1 now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The port that a service's name leads to, so that it stays the same when everything is removed and made anew. */
export function preferredServicePort(name: string): number {
  const digest = createHash("sha256").update(name).digest().readUInt32BE(0);
  return serviceRange.from + (digest % (serviceRange.to - serviceRange.from + 1));
}

/** Hands out ports on 127.0.0.1, never one twice at a time. */
export class PortPool {
  readonly #taken = new Set<number>();

  async forPod(): Promise<number> {
    const span = podRange.to - podRange.from + 1;
    return await this.#next(podRange, podRange.from + Math.floor(Math.random() * span));
  }

  /** The port asked for, or the next free one above it. */
  async forService(preferred: number): Promise<number> {
    return await this.#next(serviceRange, preferred);
  }

  release(port: number): void {
    this.#taken.delete(port);
  }

  async #next(range: { from: number; to: number }, first: number): Promise<number> {
    const span = range.to - range.from + 1;
    for (let step = 0; step < span; step += 1) {
      const port = range.from + ((first - range.from + step + span) % span);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await isPortFree(port)) return port;
      this.#taken.delete(port);
    }
    throw new NaruError({
      code: "NoPortLeft",
      message: `no port between ${range.from} and ${range.to} is free on 127.0.0.1`,
      remedy: "stop programs that listen there",
    });
  }
}
