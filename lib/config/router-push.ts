import { z } from "zod";
import { MAX_KEYS } from "../signing/keys.ts";

/**
 * How a router knows that a pushed configuration comes from the operator and is meant for it. The push is signed as the
 * bytes that travel; `trust.json`, beside `router.json` in NARU_CONFIG_DIR, says whose signatures count.
 */

/** The ModelServing that a router belongs to. Its uid keeps a resource apart from a former one of the same name. */
const owner = z.strictObject({
  namespace: z.string().min(1).max(63),
  name: z.string().min(1).max(253),
  uid: z.string().max(64),
});

/** `trust.json`: what the operator puts into the router's ConfigMap. It holds no secret. */
export const routerTrust = z.strictObject({
  owner,
  /** Ed25519 public keys of the operator, 32 bytes each in base64url. */
  publicKeys: z
    .array(z.string().regex(/^[A-Za-z0-9_-]{43}$/))
    .min(1)
    .max(MAX_KEYS),
});

/** The body of `PUT /naru/config`, before its configuration is read. */
export const routerPush = z.strictObject({ owner, config: z.unknown() });

/** Header of the signatures, as `signatureOf` writes them. */
export const SIGNATURE_HEADER = "naru-signature";
/** What the operator's key signs is good for this only; another form of the body would be another version. */
export const PUSH_PURPOSE = "naru.dev/router-config/v1";

export type RouterOwner = z.output<typeof owner>;
export type RouterTrust = z.output<typeof routerTrust>;
