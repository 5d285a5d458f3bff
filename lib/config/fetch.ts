import { z } from "zod";

/**
 * What the operator tells the init container that brings a model to NARU_MODELS_DIR, as `fetch.json` in
 * NARU_CONFIG_DIR. Credentials are never in it: they come as environment or mounted files.
 */
export const fetchConfig = z.strictObject({
  files: z
    .array(
      z.strictObject({
        /** Where it goes, relative to NARU_MODELS_DIR; no `..`, not absolute. */
        path: z.string().min(1).max(1024),
        /** https, s3, or file (standalone and PVCs). */
        uri: z.string().min(1).max(2048),
        /** 64 lower-case hex digits. */
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1)
    .max(2048),
  /**
   * Models that must be signed: the model's digest, and where its detached signature is. The public key comes as
   * NARU_SIGNATURE_PUBLIC_KEY.
   */
  signatures: z
    .array(z.strictObject({ digest: z.string().regex(/^[0-9a-f]{64}$/), uri: z.string().min(1).max(2048) }))
    .max(32)
    .default([]),
  /** Bytes that the cache in NARU_MODELS_DIR may hold; the least recently used blobs leave first. */
  maxCacheBytes: z
    .int()
    .min(1)
    .default(64 * 1024 ** 3),
  s3: z
    .strictObject({
      region: z.string().optional(),
      endpoint: z.string().optional(),
      pathStyle: z.boolean().optional(),
    })
    .prefault({}),
});

export type FetchConfig = z.output<typeof fetchConfig>;
