import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorsIn, errorsPage } from "../../../scripts/errors-page.ts";

const source = `
  throw new NaruError({
    code: "NoSuchFolder",
    message: \`\${options.dir ?? \`\${{}}\`} is not a folder\`,
    remedy: "give the folder | that holds your \\"YAML\\" files",
  });
  const other = { code, message: "not an error", remedy: "x" };
`;

test("errors are found with what is computed left open", () => {
  expect(errorsIn(source, "operator/standalone")[0]).toMatchObject({
    code: "NoSuchFolder",
    room: "operator/standalone",
    remedy: 'give the folder | that holds your "YAML" files',
  });
});

test("an object whose code is computed is no entry", () => {
  expect(errorsIn('f({ code, message: "m", remedy: "r" })', "lib")).toEqual([]);
});

test("the page has one row an error, in order, and no cell that ends early", () => {
  const entry = { code: "B", room: "lib", message: "a | b", remedy: "c" };
  const page = errorsPage([entry, { ...entry, code: "A" }, entry]);
  expect(page.split("\n").filter((line) => line.startsWith("| `"))).toEqual([
    "| `A` | lib | a \\| b | c |",
    "| `B` | lib | a \\| b | c |",
  ]);
});

test("a V2 error, a code chosen by a condition and texts that are handed in are entries as well", () => {
  expect(errorsIn(`throw invalid("NotText", \`\${a} holds "x"\`, "ask", 422);`, "lib/v2")).toEqual([
    { code: "NotText", room: "lib/v2", message: '… holds "x"', remedy: "ask" },
  ]);
  const chosen =
    'new NaruError({ code: s < 500 ? "Refused" : "Failed", message, remedy: s < 500 ? "a" : "b" })';
  expect(errorsIn(chosen, "cli")).toEqual([
    { code: "Refused", room: "cli", message: "…", remedy: "a" },
    { code: "Failed", room: "cli", message: "…", remedy: "b" },
  ]);
});

test("docs/reference/errors.md has every code that the source names, and no other", () => {
  const root = join(import.meta.dirname, "../../..");
  const sources = ["lib", "runtimes", "operator", "cli"].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(join(root, room, file), "utf8")),
  );
  // Another way to read the source than the page's own: one line after NaruError's brace, or invalid's first word.
  const named = sources.flatMap((text) => [
    ...[...text.matchAll(/new NaruError\(\{\s*code:([^\n]*)/g)].flatMap(([, line = ""]) => [
      ...(line.split(/\bmessage\b/)[0] ?? "").matchAll(/"([A-Z]\w+)"/g),
    ]),
    ...text.matchAll(/\binvalid\(\s*"(\w+)"/g),
  ]);
  const page = readFileSync(join(root, "docs/reference/errors.md"), "utf8");
  const listed = new Set([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code));
  expect(named.length).toBeGreaterThan(100);
  expect([...new Set(named.map(([, code]) => code))].filter((code) => !listed.has(code))).toEqual([]);
  const everything = sources.join("\n");
  expect([...listed].filter((code) => !everything.includes(`"${code}"`))).toEqual([]);
});
