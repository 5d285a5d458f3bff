import type { IncomingHttpHeaders } from "node:http";
import { NaruError } from "../errors.ts";

/** Milliseconds that the client will wait, as Envoy and most meshes name it; the router passes on what is left. */
export const TIMEOUT_HEADER = "x-request-timeout-ms";

const UNIT_MILLISECONDS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/**
 * Milliseconds of a `grpc-timeout` value: at most eight digits and a unit, as `100m` (gRPC over HTTP/2,
 * "Timeout"). Undefined where it is none.
 */
export function parseGrpcTimeout(value: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  const unit = UNIT_MILLISECONDS[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/**
 * When a request must be answered, on the clock of `now` (milliseconds, `performance.now()`): the server's own limit, or
 * sooner where the client says so by `x-request-timeout-ms` or `grpc-timeout`. A client can't ask for more.
 *
 * @throws NaruError InvalidTimeout (400) where the header is not a time.
 */
export function deadlineOf(headers: IncomingHttpHeaders, limitMilliseconds: number, now: number): number {
  const asked = askedTimeout(headers);
  return now + (asked === undefined ? limitMilliseconds : Math.min(asked, limitMilliseconds));
}

function askedTimeout(headers: IncomingHttpHeaders): number | undefined {
  const grpc = headers["grpc-timeout"];
  if (typeof grpc === "string") {
    const milliseconds = parseGrpcTimeout(grpc);
    if (milliseconds === undefined)
      throw invalidTimeout("grpc-timeout", "up to eight digits and one of H M S m u n");
    return milliseconds;
  }
  const plain = headers[TIMEOUT_HEADER];
  if (typeof plain === "string") {
    if (!/^\d{1,10}$/.test(plain)) throw invalidTimeout(TIMEOUT_HEADER, "a whole number of milliseconds");
    return Number(plain);
  }
  return undefined;
}

function invalidTimeout(header: string, form: string): NaruError {
  return new NaruError({
    code: "InvalidTimeout",
    message: `header ${header} is not a time`,
    remedy: `Send ${form}.`,
    status: 400,
  });
}

/** What a request whose deadline passed is answered with. */
export function deadlineExceeded(): NaruError {
  return new NaruError({
    code: "DeadlineExceeded",
    message: "the request's deadline passed before its answer was there",
    remedy: "Send fewer rows in a request, allow it more time, or add replicas.",
    status: 504,
  });
}
