import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One error that the code throws on purpose, as it stands in the source. */
export interface ErrorEntry {
  readonly code: string;
  /** Folder of the file that throws it. */
  readonly room: string;
  readonly message: string;
  readonly remedy: string;
}

const FIELD = /\b(code|message|remedy):\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)/g;

/**
 * Every `code`, `message`, `remedy` that stand together as literals, as NaruError asks for them. What is computed
 * is shown as `…`; an error whose code is computed is not listed.
 */
export function errorsIn(source: string, room: string): ErrorEntry[] {
  const entries: ErrorEntry[] = [];
  let current: { code: string; message: string; remedy?: string; at: number } | undefined;
  for (const match of source.matchAll(FIELD)) {
    const [, name, double, single, template] = match;
    const text = (double ?? single ?? template ?? "").replaceAll(/\\(.)/g, "$1");
    const literal = template === undefined ? text : withoutExpressions(text);
    if (name === "code") current = { code: literal, message: "…", at: match.index };
    else if (current !== undefined && match.index - current.at < LONGEST) {
      if (name === "message") current.message = literal;
      else {
        const { code, message } = current;
        if (/^[A-Z][A-Za-z]+$/.test(code)) entries.push({ code, room, message, remedy: literal });
        current = undefined;
      }
    }
  }
  return entries;
}

/** Characters within which the fields of one error stand. */
const LONGEST = 900;

/** `${…}` as `…`, with braces inside it. */
function withoutExpressions(template: string): string {
  let out = "";
  let depth = 0;
  for (let at = 0; at < template.length; at += 1) {
    if (depth === 0 && template.startsWith("${", at)) {
      out += "…";
      depth = 1;
      at += 1;
    } else if (depth === 0) out += template[at];
    else if (template[at] === "{") depth += 1;
    else if (template[at] === "}") depth -= 1;
  }
  return out;
}

export async function errorsUnder(root: string, rooms: readonly string[]): Promise<ErrorEntry[]> {
  const entries: ErrorEntry[] = [];
  for (const room of rooms) {
    const files = await readdir(join(root, room), { recursive: true });
    for (const file of files.filter((name) => name.endsWith(".ts")).sort()) {
      const folder = join(room, file).split("/").slice(0, -1).slice(0, 2).join("/");
      entries.push(...errorsIn(await readFile(join(root, room, file), "utf8"), folder));
    }
  }
  return entries;
}

export function errorsPage(entries: readonly ErrorEntry[]): string {
  const key = ({ code, room, message, remedy }: ErrorEntry) => [code, room, message, remedy].join("\n");
  const rows = [...new Map(entries.map((entry) => [key(entry), entry])).values()].toSorted((a, b) =>
    key(a) < key(b) ? -1 : 1,
  );
  const cell = (text: string) => text.replaceAll(/\s*\n\s*/g, " ").replaceAll("|", "\\|");
  return [
    "<!-- Generated from the source by npm run generate. Do not edit. -->",
    "# Errors",
    "Every error that Naru raises on purpose has a stable code, a message and a remedy. The CLI prints message and remedy; a container writes all three as one line of JSON where its pod's status shows them, and `Ready=False` has the code as its reason. `…` is filled in when it is raised.",
    [
      "| Code | Room | Message | Remedy |",
      "| --- | --- | --- | --- |",
      ...rows.map(
        ({ code, room, message, remedy }) => `| \`${code}\` | ${room} | ${cell(message)} | ${cell(remedy)} |`,
      ),
    ].join("\n"),
  ]
    .join("\n\n")
    .concat("\n");
}
