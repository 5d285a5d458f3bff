import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../lib/errors.ts";
import type { Probe } from "./pod-types.ts";

/** Why a probe failed, or undefined when it succeeded. */
export type ProbeAnswer = string | undefined;

/** Until a container has started, it is asked this often: a laptop should not wait out a whole period. */
const eagerMilliseconds = 100;

/** Sleeps; false when `signal` fired first. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** Asks once, of 127.0.0.1; `portOf` finds the port that was allocated for a declared one. */
export async function probeOnce(
  probe: Probe,
  portOf: (declared: number | string) => number | undefined,
): Promise<ProbeAnswer> {
  const declared = probe.httpGet?.port ?? probe.grpc?.port ?? probe.tcpSocket?.port ?? 0;
  const port = portOf(declared);
  if (port === undefined) return `the container has no port ${declared}`;
  const seconds = probe.timeoutSeconds ?? 1;
  const signal = AbortSignal.timeout(seconds * 1000);
  try {
    if (probe.httpGet !== undefined) return await askHttp(probe.httpGet, port, signal);
    if (probe.grpc !== undefined) return await askGrpc(probe.grpc.service ?? "", port, signal);
    return await askTcp(port, signal);
  } catch (error) {
    return signal.aborted ? `no answer within ${seconds} s` : messageOf(error);
  }
}

/** As the kubelet: 200 to 399 is well, and a certificate is not verified. */
function askHttp(
  get: NonNullable<Probe["httpGet"]>,
  port: number,
  signal: AbortSignal,
): Promise<ProbeAnswer> {
  const headers = Object.fromEntries((get.httpHeaders ?? []).map(({ name, value }) => [name, value]));
  const client = get.scheme === "HTTPS" ? https : http;
  const options = { host: "127.0.0.1", port, path: get.path ?? "/", headers, signal, agent: false };
  return new Promise((resolve, reject) => {
    const request = client.get({ ...options, rejectUnauthorized: false }, (answer) => {
      answer.resume();
      answer.once("error", reject);
      const status = answer.statusCode ?? 0;
      answer.once("end", () =>
        resolve(status >= 200 && status < 400 ? undefined : `HTTP probe failed with statuscode: ${status}`),
      );
    });
    request.once("error", reject);
  });
}

function askTcp(port: number, signal: AbortSignal): Promise<ProbeAnswer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", signal });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

/** grpc.health.v1.Health/Check by hand: the request is field 1, the service; the answer's field 1 is 1, SERVING. */
function askGrpc(service: string, port: number, signal: AbortSignal): Promise<ProbeAnswer> {
  const name = Buffer.from(service.slice(0, 127));
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const fail = (error: unknown) => {
      session.destroy();
      reject(error);
    };
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
    session.once("error", fail);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    stream.once("error", fail);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("end", () => {
      session.destroy();
      const body = Buffer.concat(chunks).subarray(5);
      resolve(body[0] === 0x08 && body[1] === 1 ? undefined : "service is not SERVING");
    });
    stream.end(frame);
  });
}

/**
 * Repeats a probe as the kubelet does. `onResult` hears of a change of mind: true after `successThreshold`
 * answers in a row, false after `failureThreshold` failures in a row.
 */
export async function repeatProbe(options: {
  probe: Probe;
  ask: () => Promise<ProbeAnswer>;
  signal: AbortSignal;
  /** Asks every 100 ms until the first success; a failure then counts once a period, as ever. */
  eager: boolean;
  onResult: (ok: boolean, why: ProbeAnswer) => void;
}): Promise<void> {
  const { probe, ask, signal, onResult } = options;
  const period = (probe.periodSeconds ?? 10) * 1000;
  if (!options.eager || probe.initialDelaySeconds !== undefined) {
    if (!(await sleep((probe.initialDelaySeconds ?? 0) * 1000, signal))) return;
  }
  let [successes, failures, told] = [0, 0, undefined as boolean | undefined];
  let eager = options.eager;
  let lastCounted = performance.now();
  while (!signal.aborted) {
    const why = await ask();
    if (signal.aborted) return;
    if (why === undefined) {
      [successes, failures, eager] = [successes + 1, 0, false];
    } else if (!eager || performance.now() - lastCounted >= period) {
      [successes, failures, lastCounted] = [0, failures + 1, performance.now()];
    }
    if (why === undefined && told !== true && successes >= (probe.successThreshold ?? 1)) {
      told = true;
      onResult(true, undefined);
    } else if (why !== undefined && told !== false && failures >= (probe.failureThreshold ?? 3)) {
      told = false;
      onResult(false, why);
    }
    if (!(await sleep(eager ? Math.min(eagerMilliseconds, period) : period, signal))) return;
  }
}
