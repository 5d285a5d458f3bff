/**
 * The error that every room throws on purpose. `code` is stable (documented in docs/reference/errors.md),
 * `message` says what is wrong, `remedy` what to do about it. Neither may hold a secret or a payload.
 */
export class NaruError extends Error {
  readonly code: string;
  readonly remedy: string;
  /** HTTP status with which a server answers it; 500 where the fault is ours. */
  readonly status: number;

  constructor(fields: { code: string; message: string; remedy: string; status?: number; cause?: unknown }) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = "NaruError";
    this.code = fields.code;
    this.remedy = fields.remedy;
    this.status = fields.status ?? 500;
  }
}

/** The message of whatever was thrown, for logs and status; never a stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
