import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modelServing } from "../../../crds/model-serving.ts";
import { readDocuments } from "../../../operator/standalone/documents.ts";

const schemas = new Map([["naru.dev/v1alpha1/ModelServing", modelServing]]);
const read = (text: string) => readDocuments("/dir/a.yaml", text, schemas);
const messages = (text: string) =>
  read(text).problems.map(({ line, column, message }) => `${line}:${column} ${message}`);

describe("readDocuments", () => {
  test("reads several documents, and passes over those that hold only comments", () => {
    const secret = (name: string) => `apiVersion: v1\nkind: Secret\nmetadata: { name: ${name} }\n`;
    const { objects, problems } = read(`# first\n---\n${secret("a")}---\n# nothing\n---\n${secret("b")}`);
    expect(problems).toEqual([]);
    expect(objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual([
      "default/a",
      "default/b",
    ]);
  });

  test("a user's status is not taken over", () => {
    const { objects } = read(
      "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstatus: { forged: true }\n",
    );
    expect(objects[0]).not.toHaveProperty("status");
  });

  test("what an API server adds to metadata is not taken over, and a label that is no text is refused", () => {
    const head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n";
    const { objects } = read(`${head}  uid: x\n  resourceVersion: "7"\n  labels: { a: b }\n`);
    expect(objects[0]?.metadata).toEqual({ name: "a", namespace: "default", labels: { a: "b" } });
    expect(messages(`${head}  labels: { a: 1 }\n`)).toEqual([
      expect.stringMatching(/^5:3 metadata.labels: /),
    ]);
  });

  test("points at what is wrong in the second document, at the value's key", () => {
    const good = "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n";
    expect(
      messages(
        `${good}---\napiVersion: naru.dev/v1alpha1\nkind: ModelServing\nmetadata: { name: x }\nspec:\n  model:\n    uri: ftp://x\n    sha256: short\n`,
      ),
    ).toEqual([
      expect.stringMatching(/^10:5 spec.model.uri: /),
      expect.stringMatching(/^11:5 spec.model.sha256: /),
    ]);
  });

  test("says what is missing, and where it should be", () => {
    expect(messages("kind: ModelServing\n")).toEqual(["1:1 apiVersion: must be given"]);
    expect(messages("- 1\n")).toEqual(["1:1 this is no Kubernetes resource"]);
    expect(messages("apiVersion: v1\nkind: Secret\nmetadata: {}\n")).toEqual([
      "3:1 metadata.name: must be given",
    ]);
    expect(messages('apiVersion: v1\nkind: Secret\nmetadata: { name: a, namespace: "../x" }\n')).toEqual([
      expect.stringMatching(/^3:22 metadata.namespace: /),
    ]);
  });

  test("an alias of what it stands in is a mistake of its file, and ends nothing else", () => {
    const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";
    expect(messages(`${head}data: &data { again: *data }\n`)).toEqual([
      "1:1 an alias leads back into what holds it",
    ]);
    expect(messages(`${head}data: { one: &text x, two: *text }\n`)).toEqual([]);
  });

  test("a bomb of aliases is refused and not unfolded", () => {
    const bomb = [
      "a: &a [x,x,x,x,x,x,x,x,x]",
      ...["b", "c", "d", "e", "f", "g", "h"].map((name, index) => {
        const before = "abcdefgh"[index];
        return `${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`;
      }),
    ].join("\n");
    expect(messages(bomb)).toEqual([expect.stringContaining("alias")]);
  });

  test("no text makes it throw, and every problem has a place in the file", () => {
    const fragments = fc.constantFrom(
      "apiVersion: v1\n",
      "kind: Secret\n",
      "---\n",
      "- ",
      "{",
      "[",
      '"',
      ": ",
      "\t",
      "&a ",
      "*a ",
      "!!binary ",
      "? ",
      "| \n",
      "%YAML 1.2\n",
      "\u0000",
      "spec:\n  ",
      "metadata: {name: x}\n",
      "<<: *a\n",
      "__proto__: 1\n",
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fragments, fc.string({ unit: "binary", maxLength: 8 })), { maxLength: 12 }),
        (parts) => {
          for (const { line, column } of read(parts.join("")).problems) {
            expect(line).toBeGreaterThanOrEqual(1);
            expect(column).toBeGreaterThanOrEqual(1);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
