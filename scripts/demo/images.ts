import { readFileSync } from "node:fs";
import { z } from "zod";

const PIXELS = 64;
const BRIGHTEST = 16;
const CLASSES = 10;

/** One handwritten digit of the held-out set: 8 × 8 pixels from 0 to 1, row by row, and what it shows. */
export interface HeldOutImage {
  readonly pixels: readonly number[];
  readonly label: number;
}

/** @throws Error where a line is not 64 pixels of 0 to 16 and a label of 0 to 9 */
export function readHeldOut(file: string): readonly HeldOutImage[] {
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line, index) => {
      const numbers = line.split(",").map(Number);
      const [pixels, label] = [numbers.slice(0, PIXELS), numbers[PIXELS]];
      const whole =
        numbers.length === PIXELS + 1 && pixels.every((pixel) => pixel >= 0 && pixel <= BRIGHTEST);
      if (!whole || label === undefined || !(label >= 0 && label < CLASSES))
        throw new Error(`${file}:${index + 1}: not 64 pixels of 0 to 16 and a label`);
      return { pixels: pixels.map((pixel) => pixel / BRIGHTEST), label };
    });
}

/** The body of a V2 infer request that bears `id`. */
export function inferBody(id: string, { pixels }: HeldOutImage): string {
  return JSON.stringify({
    id,
    inputs: [{ name: "input", datatype: "FP32", shape: [1, 1, 8, 8], data: pixels }],
  });
}

// z.number() takes no NaN and no infinity.
const answerSchema = z.object({
  id: z.string(),
  outputs: z.array(z.object({ name: z.string(), data: z.array(z.unknown()) })),
});
const scoresSchema = z.array(z.number()).length(CLASSES);

/** The digit that an answer reads, or why it is no good answer to the request that bore `id`. */
export function readAnswer(body: string, id: string): { digit: number } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { problem: "the answer is not JSON" };
  }
  const answer = answerSchema.safeParse(value);
  if (!answer.success) return { problem: "the answer is not a V2 response" };
  if (answer.data.id !== id) return { problem: `the answer to ${id} bears the id ${answer.data.id}` };
  const output = answer.data.outputs.find(({ name }) => name === "scores");
  const scores = scoresSchema.safeParse(output?.data);
  if (!scores.success) return { problem: "there are no ten finite scores in the answer" };
  return { digit: scores.data.indexOf(Math.max(...scores.data)) };
}
