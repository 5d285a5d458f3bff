import type { Json } from "./api-client.ts";

/** The longest line of a watch: etcd's largest request is 1.5 MiB by default, and JSON escapes some of it. */
const LONGEST_LINE = 32 * 1024 * 1024;

/**
 * The JSON objects of a stream that holds one a line, as a watch does. A last line that was cut off is none.
 * @throws SyntaxError, RangeError where a line is longer than `longest` bytes
 */
export async function* jsonLines(
  chunks: AsyncIterable<Uint8Array>,
  longest = LONGEST_LINE,
): AsyncGenerator<Json> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
      const line = Buffer.concat([...rest, bytes.subarray(from, end)]).toString();
      rest = [];
      length = 0;
      from = end + 1;
      if (line.trim() !== "") yield JSON.parse(line) as Json;
    }
    if (from === bytes.length) continue;
    rest.push(bytes.subarray(from));
    length += bytes.length - from;
    if (length > longest) throw new RangeError(`a line of a watch is longer than ${longest} bytes`);
  }
}
