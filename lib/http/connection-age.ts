import type { HttpConfig } from "../config/inference.ts";

/** Draws the jitter of connection ages: a number in [0, 1). */
export type Random = () => number;

/**
 * How old a connection may become, in milliseconds: `connectionMaxAgeSeconds` ± jitter, so that connections
 * that were opened together don't all come back together (as gRPC does, proposal A9). The jitter is drawn in whole
 * percents: Node keeps one timer list for each different duration.
 */
export function connectionMaxAge(config: HttpConfig, random: Random): number {
  const spread = config.connectionMaxAgeJitterPercent;
  const percent = Math.floor(random() * (2 * spread + 1)) - spread;
  return config.connectionMaxAgeSeconds * 10 * (100 + percent);
}
