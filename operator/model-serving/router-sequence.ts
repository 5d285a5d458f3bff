import { createHash } from "node:crypto";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import { MAX_SEQUENCE } from "../../lib/config/router.ts";
import { canonicalJson } from "../engine/canonical.ts";
import type { Situation } from "./plan.ts";
import type { SentConfig } from "./router-config.ts";

export type Issued = NonNullable<ModelServingStatus["routerConfig"]>;

/** What status says of a configuration: its number, and a digest of its content without the number. */
export function issuedOf(config: SentConfig): Issued {
  const { sequence = 0, ...content } = config;
  return { sequence, digest: createHash("sha256").update(canonicalJson(content)).digest("hex") };
}

/**
 * Gives a configuration its number: that of the same content as last time, else the next one. The counter is in
 * status, which is stored with a `resourceVersion` before the ConfigMap is written: of two operators that
 * decide at once, one fails there, so no two contents get one number. No clock could promise that.
 *
 * Where status was lost, the ConfigMap's number is gone on from.
 */
export function numbered({ before, observed }: Situation, config: SentConfig): SentConfig {
  const last = before.routerConfig;
  if (last?.digest === issuedOf(config).digest) return { ...config, sequence: last.sequence };
  const reached = last?.sequence ?? observed.routerConfig?.sequence ?? 0;
  return { ...config, sequence: Math.min(reached + 1, MAX_SEQUENCE) };
}

/**
 * Whether a configuration in a ConfigMap is what was decided. Who may write ConfigMaps in a user's namespace must not
 * get the operator's signature for what they wrote.
 */
export function isIssued(config: SentConfig, status: unknown): boolean {
  const issued = (status as ModelServingStatus | undefined)?.routerConfig;
  const { sequence, digest } = issuedOf(config);
  return issued?.sequence === sequence && issued.digest === digest;
}
