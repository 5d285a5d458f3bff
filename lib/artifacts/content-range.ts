/** What of a file an answer holds: from byte `start` on; `total` is the whole file's size, where it is told. */
export interface ContentRange {
  start: number;
  /** The last byte, inclusive. */
  end: number;
  total: number | undefined;
}

/** The `Content-Range` of a 206 answer (RFC 9110 §14.4); undefined where it is not a sound one. */
export function parseContentRange(value: string): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(value.trim());
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]);
  const total = match[3] === "*" ? undefined : Number(match[3]);
  if (end < start || (total !== undefined && end >= total)) return undefined;
  return { start, end, total };
}

/** The size that a 416 answer tells: its `Content-Range` is `bytes *\/SIZE`. */
export function parseUnsatisfiedRange(value: string): number | undefined {
  const match = /^bytes \*\/(\d{1,15})$/i.exec(value.trim());
  return match === null ? undefined : Number(match[1]);
}

/**
 * What `If-Range` may hold (RFC 9110 §13.1.5): a strong ETag, else a date. Without one of the two a file that changed
 * between two parts is found by its digest only.
 */
export function rangeValidator(
  etag: string | undefined,
  lastModified: string | undefined,
): string | undefined {
  if (etag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag)) return etag;
  return lastModified !== undefined && !Number.isNaN(Date.parse(lastModified)) ? lastModified : undefined;
}
