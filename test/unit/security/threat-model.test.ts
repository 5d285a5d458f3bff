import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** docs/security.md: each line of its table names tests that are there, by file and name. */
const ROOT = join(import.meta.dirname, "../../..");

interface Threat {
  readonly threat: string;
  /** Each `file` › name. */
  readonly tests: readonly string[];
}

function threatsIn(page: string): Threat[] {
  const [, table = ""] = page.split("| Threat | Held by | Test |\n| --- | --- | --- |\n");
  const rows = table.split("\n").slice(
    0,
    table.split("\n").findIndex((line) => !line.startsWith("|")),
  );
  return rows.map((row) => {
    const [, threat = "", , tests = "", ...more] = row.split("|").map((cell) => cell.trim());
    if (more.length !== 1) throw new Error(`a line of other columns: ${row}`);
    return { threat, tests: tests.split("<br>") };
  });
}

/** Why a reference leads to no test; undefined where it leads to one. */
function problemOf(reference: string): string | undefined {
  const [, file = "", name = ""] = /^`(test\/[\w./-]+\.ts)` › (\S.*)$/.exec(reference) ?? [];
  if (file === "") return `not \`file\` › name: ${reference}`;
  if (!existsSync(join(ROOT, file))) return `no such file: ${file}`;
  const text = readFileSync(join(ROOT, file), "utf8");
  const quoted = `["'\`]${name.replaceAll(/[^\w\s]/g, "\\$&")}["'\`]`;
  // A test, one of several from a table, or one of the resources that every admission test judges.
  const named = file.endsWith(".test.ts")
    ? new RegExp(`(?:\\b(?:it|test)(?:\\.\\w+)*|[)\`])\\(\\s*${quoted}`)
    : new RegExp(`(?:\\bname: |\\[\\s*)${quoted}`);
  return named.test(text) ? undefined : `${file} has no test of that name: ${name}`;
}

describe("the threat model", () => {
  const threats = threatsIn(readFileSync(join(ROOT, "docs/security.md"), "utf8"));

  it("has a test for each line", () => {
    expect(threats.length).toBeGreaterThan(50);
    expect(threats.filter(({ tests }) => tests.length === 0)).toEqual([]);
  });

  it.each(threats)("names tests that are there: $threat", ({ tests }) => {
    expect(tests.map(problemOf).filter((problem) => problem !== undefined)).toEqual([]);
  });

  it("would notice a file, a test or a column that is not there", () => {
    expect(problemOf("`test/unit/nothing.test.ts` › a")).toBe("no such file: test/unit/nothing.test.ts");
    const own = "test/unit/security/threat-model.test.ts";
    expect(problemOf(`\`${own}\` › has a test for each line`)).toBeUndefined();
    expect(problemOf(`\`${own}\` › has a test for each`)).toContain("has no test of that name");
    expect(problemOf(`\`${own}\` › the threat model`)).toContain("has no test of that name");
    expect(problemOf("nothing holds it")).toContain("not `file` › name");
    expect(() => threatsIn("| Threat | Held by | Test |\n| --- | --- | --- |\n| a | b |\n\n")).toThrow();
  });
});
