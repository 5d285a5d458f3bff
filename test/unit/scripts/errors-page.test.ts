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
