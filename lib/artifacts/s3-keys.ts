import { z } from "zod";

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
  /** Milliseconds since 1970; undefined where they don't end. */
  expiresAt: number | undefined;
}

/** A time of a token service's answer, in milliseconds since 1970. */
export const expiry = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
