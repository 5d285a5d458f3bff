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

/** A NaruError's fields, which begin with `code` everywhere, or a call of lib/v2's `invalid(code, message, remedy)`. */
const START = /\{\s*(?=code:)|\binvalid\(/g;

/**
 * Every error whose code is a literal, or one of several. Of message and remedy, what is computed is shown as `…`;
 * an error whose code is computed is not listed.
 */
export function errorsIn(source: string, room: string): ErrorEntry[] {
  return [...source.matchAll(START)].flatMap((match) => {
    const parts = partsAt(source, match.index + match[0].trimEnd().length);
    const { code, message, remedy } = match[0].startsWith("{") ? fieldsOf(parts) : argumentsOf(parts);
    if (code === undefined || remedy === undefined) return [];
    const codes = literalsOf(code).filter((text) => /^[A-Z][a-z]\w*$/.test(text));
    return codes.map((text, place) => ({
      code: text,
      room,
      message: textOf(message, place, codes.length),
      remedy: textOf(remedy, place, codes.length),
    }));
  });
}

interface Fields {
  code?: string | undefined;
  message?: string | undefined;
  remedy?: string | undefined;
}

function fieldsOf(parts: readonly string[]): Fields {
  return Object.fromEntries(
    parts.map((part) => {
      const [, name = part, value = ""] = /^(\w+):([\s\S]*)$/.exec(part) ?? [];
      return [name, value.trim()];
    }),
  );
}

function argumentsOf([code, message, remedy]: readonly string[]): Fields {
  return { code, message, remedy };
}

/** One of several literals, chosen by the same condition as the code; else all that it may be. */
function textOf(expression: string | undefined, place: number, codes: number): string {
  const texts = literalsOf(expression ?? "");
  if (texts.length === 0) return "…";
  return texts.length === codes ? (texts[place] ?? "…") : texts.join(", or: ");
}

const LITERAL =
  /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`((?:\\.|\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\}|[^`\\])*)`/g;

/** The strings that an expression may be: itself, or each branch of `a ? b : c` and `a ?? b`. */
function literalsOf(expression: string): string[] {
  if (!/^["'`]|\?/.test(expression)) return [];
  return [...expression.matchAll(LITERAL)]
    .filter(({ index }) => /(^|[?:])\s*$/.test(expression.slice(0, index)))
    .map(([, double, single, template]) => {
      const text = (double ?? single ?? template ?? "").replaceAll(/\\(.)/g, "$1");
      return template === undefined ? text : withoutExpressions(text);
    });
}

/** What stands between the bracket before `from` and the one that closes it, split at its own commas. */
function partsAt(source: string, from: number): string[] {
  const parts: string[] = [];
  let depth = 0;
  let begin = from;
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at);
    LITERAL.lastIndex = at;
    if (`"'\``.includes(char)) {
      const literal = LITERAL.exec(source);
      if (literal?.index === at) at += literal[0].length - 1;
    } else if ("([{".includes(char)) depth += 1;
    else if (depth > 0 && ")]}".includes(char)) depth -= 1;
    else if (depth === 0 && ",)]}".includes(char)) {
      parts.push(source.slice(begin, at).trim());
      begin = at + 1;
      if (char !== ",") break;
    }
  }
  LITERAL.lastIndex = 0;
  return parts.filter((part) => part !== "");
}

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
