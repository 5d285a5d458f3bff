import { messageOf } from "../../../lib/errors.ts";
import type { SessionMetadata, SessionTensor } from "../../../lib/onnx/session.ts";
import { fromFloat16Bits } from "../../../lib/v2/float16.ts";
import { concatenate, split } from "../batch.ts";
import type { Runner } from "./runner.ts";
import { sampleInputs, sampleSizes } from "./sample.ts";

/** What warm-up found out. */
export interface Findings {
  /** Rows of different requests may share a run. */
  readonly batchable: boolean;
  /** Why they may not; empty where they may. */
  readonly reason: string;
  /** Milliseconds of a run of one row, and of one of `maxSize` rows; undefined where it was not measured. */
  readonly rowMilliseconds?: number;
  readonly batchMilliseconds?: number;
}

/**
 * Warms a model up and measures it. Rows may share a run only if the model says that its first dimension is free, for
 * every input and output, and if two rows together give the answers that each gave alone: a free first dimension can
 * be a sequence as well, and then a batch would be a wrong answer.
 */
export async function examine(
  runner: Runner,
  { maxSize, warmupRuns }: { readonly maxSize: number; readonly warmupRuns: number },
): Promise<Findings> {
  const outputs = runner.metadata.outputs.map(({ name }) => name);
  const size = await acceptedSize(runner, outputs);
  if (size.dynamicSize === undefined)
    return { batchable: false, reason: `a warm-up run failed: ${size.problem}` };
  const { dynamicSize } = size;
  const measure = async (rows: number, runs: number): Promise<number | undefined> => {
    let shortest: number | undefined;
    for (let run = 0; run < runs; run += 1) {
      const inputs = sampleInputs(runner.metadata, rows, 0, dynamicSize);
      const { inferMilliseconds } = await runner.run(inputs, outputs);
      shortest = Math.min(shortest ?? Number.POSITIVE_INFINITY, inferMilliseconds);
    }
    return shortest;
  };
  const rowMilliseconds = await measure(1, warmupRuns);
  const measured = rowMilliseconds === undefined ? {} : { rowMilliseconds };
  if (maxSize === 1) return { batchable: false, reason: "batching is off", ...measured };
  if (!declaresBatch(runner.metadata)) {
    return { batchable: false, reason: "the model declares a fixed first dimension", ...measured };
  }
  const problem = await rowsDepend(runner, outputs, dynamicSize);
  if (problem !== undefined) return { batchable: false, reason: problem, ...measured };
  const batchMilliseconds = await measure(maxSize, Math.min(2, warmupRuns));
  return {
    batchable: true,
    reason: "",
    ...measured,
    ...(batchMilliseconds === undefined ? {} : { batchMilliseconds }),
  };
}

/** A free first dimension everywhere. */
export function declaresBatch({ inputs, outputs }: SessionMetadata): boolean {
  return [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
}

async function acceptedSize(
  runner: Runner,
  outputs: readonly string[],
): Promise<{ dynamicSize?: number; problem: string }> {
  const dynamic = runner.metadata.inputs.some(({ shape }) => shape.slice(1).includes(-1));
  let problem = "";
  for (const dynamicSize of dynamic ? sampleSizes : [1]) {
    try {
      await runner.run(sampleInputs(runner.metadata, 1, 0, dynamicSize), outputs);
      return { dynamicSize, problem: "" };
    } catch (thrown) {
      problem = messageOf(thrown);
    }
  }
  return { problem };
}

async function rowsDepend(
  runner: Runner,
  outputs: readonly string[],
  dynamicSize: number,
): Promise<string | undefined> {
  const row = (first: number) => sampleInputs(runner.metadata, 1, first, dynamicSize);
  try {
    const alone = [await runner.run(row(0), outputs), await runner.run(row(1), outputs)];
    const other = row(1);
    const both = row(0).map((tensor, index) => concatenate([tensor, other[index] ?? tensor]));
    const together = await runner.run(both, outputs);
    for (const [index, name] of outputs.entries()) {
      const output = together.outputs[index];
      const shares = output === undefined ? undefined : split(output, [1, 1]);
      for (const [which, share] of (shares ?? []).entries()) {
        const expected = alone[which]?.outputs[index];
        if (expected === undefined || !agree(expected, share))
          return `rows of output ${name} depend on each other`;
      }
      if (shares === undefined) return `output ${name} does not have a row for each row of the input`;
    }
    return undefined;
  } catch (thrown) {
    return `a run of two rows failed: ${messageOf(thrown)}`;
  }
}

/** Kernels for one row and for many add up in different orders, so floating point is compared loosely. */
const tolerance = 1e-3;
const halfTolerance = 2e-2;

function agree(a: SessionTensor, b: SessionTensor): boolean {
  if (a.shape.join() !== b.shape.join()) return false;
  const half = a.datatype === "FP16";
  const float = half || a.datatype === "FP32" || a.datatype === "FP64";
  for (const [index, value] of a.data.entries()) {
    const other = b.data[index];
    if (value === other) continue;
    if (!float || typeof value !== "number" || typeof other !== "number") return false;
    const x = half ? fromFloat16Bits(value) : value;
    const y = half ? fromFloat16Bits(other) : other;
    const near = Math.abs(x - y) <= (half ? halfTolerance : tolerance) * Math.max(1, Math.abs(x));
    if (!near && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}
