/** JSON Pointer (RFC 6901): `/a/b~1c/0`, the empty string being the whole document. */

/** The reference tokens of a pointer; undefined for what is not a pointer. */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (pointer === "") return [];
  if (!pointer.startsWith("/") || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value that tokens point to; undefined where the document has none. */
export function valueAt(document: unknown, tokens: readonly string[]): unknown {
  let at = document;
  for (const token of tokens) {
    if (Array.isArray(at)) {
      // No leading zeros, no sign (RFC 6901 §4); `-` is the element after the last, which is never there.
      if (!/^(0|[1-9]\d*)$/.test(token)) return undefined;
      at = at[Number(token)];
    } else if (typeof at === "object" && at !== null && Object.hasOwn(at, token)) {
      at = (at as Readonly<Record<string, unknown>>)[token];
    } else return undefined;
  }
  return at;
}
