/** Most lines of a difference that are printed. */
const LIMIT = 60;

/**
 * What differs between two texts, as lines with `-` (found) and `+` (wanted), after the lines that both begin
 * with and before those that both end with. Good enough to see which field changed; not a minimal difference.
 */
export function lineDiff(name: string, found: string, wanted: string): string {
  const a = found.split("\n");
  const b = wanted.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const lines = [
    ...a.slice(start, a.length - end).map((line) => `-${line}`),
    ...b.slice(start, b.length - end).map((line) => `+${line}`),
  ];
  const rest = lines.length - LIMIT;
  return [
    `${name}: from line ${start + 1}`,
    ...lines.slice(0, LIMIT),
    ...(rest > 0 ? [`… ${rest} more lines`] : []),
  ].join("\n");
}
