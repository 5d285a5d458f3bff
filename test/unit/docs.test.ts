import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { buildProgram } from "../../cli/program.ts";
import { modelServing } from "../../crds/model-serving.ts";

/** What the pages say can be done: each command exists, each link and each path leads somewhere. */
const ROOT = join(import.meta.dirname, "../..");
/** Written by commands that the pages name, so not there in a fresh clone. */
const WRITTEN_LATER = /^docs\/benchmarks$|\/\.naru$/;

function markdown(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|\/)(node_modules|\.naru|\.venv)\//.test(file));
}

const atRoot = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
const pages = [...atRoot, ...markdown("docs"), ...markdown("examples")].map((file) => ({
  file,
  text: readFileSync(join(ROOT, file), "utf8"),
}));

const scripts = Object.keys(
  (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> })
    .scripts,
);
const commands = buildProgram().commands.map((command) => command.name());

/** Each `npm run X`, `npm test` and `npx naru X` of a text that is not there. */
function unknownCommands(text: string): string[] {
  const named = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(
    ([, name]) => ["npm run", name, scripts] as const,
  );
  const naru = [...text.matchAll(/\bnpx naru ([a-z]+)/g)].map(
    ([, name]) => ["npx naru", name, commands] as const,
  );
  return [...named, ...naru]
    .filter(([, name, known]) => name === undefined || !known.includes(name))
    .map(([how, name]) => `${how} ${name}`);
}

/** Options of `naru` commands are checked where a line shows them. */
function unknownOptions(text: string): string[] {
  return [...text.matchAll(/^(?:\$ )?npx naru ([a-z]+)([^\n]*)$/gm)].flatMap(([, name, rest = ""]) => {
    const command = buildProgram().commands.find((one) => one.name() === name);
    const known = (command?.options ?? []).flatMap(({ short, long }) => [short, long]);
    const used = rest.match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [];
    return used.filter((option) => !known.includes(option)).map((option) => `naru ${name} ${option}`);
  });
}

/** Relative links that lead nowhere, to a file or to a heading in it. What stands in code is no link. */
function deadLinks(file: string, text: string): string[] {
  const prose = text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? "")
    .filter((target) => !/^https?:/.test(target))
    .filter((target) => {
      const [path = "", anchor] = target.split("#");
      const found = path === "" ? join(ROOT, file) : join(ROOT, dirname(file), path);
      if (!existsSync(found)) return true;
      return anchor !== undefined && !anchors(readFileSync(found, "utf8")).includes(anchor);
    });
}

/** What a page's headings are called in a link, as GitHub makes it of their words. */
function anchors(text: string): string[] {
  const headings = text.replaceAll(/```[\s\S]*?```/g, "").matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, words = ""]) =>
    words
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Of `deploy/` files alone: to kubectl the word is a Deployment too. */
const ROOMS =
  /^(?:(?:agent|argocd|bin|charts|cli|crds|docs|examples|images|lib|operator|runtimes|scripts|test)\/[\w./-]+|deploy\/[\w-]+\.\w+)$/;

/** Paths of the repository in backticks or in commands that are not there. */
function deadPaths(text: string): string[] {
  return [...text.matchAll(/(?<![\w/<])([a-z]+\/[\w./-]+)(?![\w/<*])/g)]
    .filter((match) => inCode(text, match.index))
    .map(([, path]) => path?.replace(/[.,/]+$/, "") ?? "")
    .filter((path) => ROOMS.test(path) && !WRITTEN_LATER.test(path))
    .filter((path) => !existsSync(join(ROOT, path)));
}

/** Between backticks on its line, or in a block of code. */
function inCode(text: string, at: number): boolean {
  if (text.slice(0, at).split(/^```/m).length % 2 === 0) return true;
  const before = text.slice(text.lastIndexOf("\n", at) + 1, at);
  return before.split("`").length % 2 === 0;
}

describe("the pages", () => {
  it("are read from real files", () => {
    expect(pages.map(({ file }) => file)).toEqual(
      expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/README.md", "examples/digits/README.md"]),
    );
    expect(pages.some(({ text }) => text.includes("npx naru up"))).toBe(true);
  });

  it.each(pages)("$file names commands and options that exist", ({ text }) => {
    expect([...unknownCommands(text), ...unknownOptions(text)]).toEqual([]);
  });

  it.each(pages)("$file links and points to files that exist", ({ file, text }) => {
    expect([...deadLinks(file, text), ...deadPaths(text)]).toEqual([]);
  });

  it("would be caught by a command, an option, a link or a path that does not exist", () => {
    expect(unknownCommands("`npm run nothing`, npx naru fly")).toEqual(["npm run nothing", "npx naru fly"]);
    expect(unknownOptions("npx naru get --colour\n$ npx naru get -w")).toEqual(["naru get --colour"]);
    expect(deadLinks("docs/README.md", "[a](nowhere.md) [b](adr/README.md) [c](https://naru.dev)")).toEqual([
      "nowhere.md",
    ]);
    const anchored =
      "[a](../README.md#a-first-session) [b](../README.md#gone) [c](#here)\n# Here\n[d](#there)";
    expect(deadLinks("docs/README.md", anchored)).toEqual(["../README.md#gone", "#here", "#there"]);
    expect(deadPaths("see `lib/nothing.ts` and `lib/errors.ts`")).toEqual(["lib/nothing.ts"]);
    expect(deadPaths("```console\nkubectl apply -f deploy/gone.yaml -f deploy/crds.yaml\n```")).toEqual([
      "deploy/gone.yaml",
    ]);
  });
});

test("every ADR has a number of its own and is in the index", () => {
  const files = readdirSync(join(ROOT, "docs/adr")).filter((name) => name !== "README.md");
  const index = readFileSync(join(ROOT, "docs/adr/README.md"), "utf8");
  const numbers = files.map((name) => /^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1] ?? name);
  expect([...numbers].sort()).toEqual(files.map((_, place) => String(place + 1).padStart(4, "0")));
  for (const [place, name] of files.entries()) {
    expect(index).toContain(`[${numbers[place]}](${name})`);
    expect(readFileSync(join(ROOT, "docs/adr", name), "utf8")).toMatch(new RegExp(`^# ${numbers[place]}: `));
  }
});

test("the ModelServing that README shows is one", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => parse(block ?? ""));
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) expect(modelServing.safeParse(block).error?.issues).toBeUndefined();
});
