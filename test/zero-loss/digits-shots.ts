import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Shot } from "./load.ts";

/** The held-out images: 64 pixels of 0 to 16 and a label a line. */
const rows = readFileSync(
  join(import.meta.dirname, "../../examples/digits/held-out/optdigits-held-out.csv"),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => line.split(",").map(Number));

/** Requests with real images, each with an id of its own that the answer must bear. */
export function digitsShot(index: number): Shot {
  const row = rows[index % rows.length] ?? [];
  const id = `shot-${index}`;
  const data = row.slice(0, 64).map((pixel) => pixel / 16);
  return {
    path: "/v2/models/digits/infer",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id, inputs: [{ name: "input", datatype: "FP32", shape: [1, 1, 8, 8], data }] }),
    wrong: (body) => wrong(body, id),
  };
}

function wrong(body: Buffer, id: string): string | undefined {
  const answer = JSON.parse(body.toString()) as {
    id?: string;
    outputs?: { name: string; data: unknown[] }[];
  };
  if (answer.id !== id) return `the answer to ${id} bears the id ${answer.id}`;
  const scores = answer.outputs?.find((output) => output.name === "scores")?.data;
  if (scores?.length !== 10 || !scores.every((score) => Number.isFinite(score)))
    return "no ten scores in the answer";
  return undefined;
}
