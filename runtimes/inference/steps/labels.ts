import type { InferenceStep } from "../../../lib/config/inference.ts";
import { NaruError } from "../../../lib/errors.ts";
import { invalidStep, knownShape, type Step, tensorNamed, unfit } from "./step.ts";

/** INT64 indices → the label of each. `lines` is what `file` holds. */
export function labels(settings: NonNullable<InferenceStep["labels"]>, lines: readonly string[]): Step {
  const { input, output } = settings;
  const values = (settings.values ?? lines).map((label) => Buffer.from(label, "utf8"));
  if (values.length === 0)
    throw invalidStep("labels", "there are no labels", "list them under values, or in file");
  return {
    kind: "labels",
    reads: [input],
    writes: [output],
    describe: (known) => [{ name: output, datatype: "BYTES", shape: knownShape(known, input) }],
    run(tensors) {
      const { data, shape } = tensorNamed(tensors, "labels", input);
      if (!(data instanceof BigInt64Array)) {
        throw unfit("labels", input, "is not INT64", "put topK before labels");
      }
      const named: Buffer[] = [];
      for (const index of data) {
        const label = index < 0n ? undefined : values[Number(index)];
        if (label === undefined) throw unlabelled(index, values.length);
        named.push(label);
      }
      return [{ name: output, datatype: "BYTES", shape, data: named }];
    },
  };
}

/** The lines of a labels file; the line break at its end begins no label. */
export function labelLines(text: string): readonly string[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function unlabelled(index: bigint, count: number): NaruError {
  return new NaruError({
    code: "MissingLabel",
    message: `labels: index ${index} has no label; there are ${count}`,
    remedy: "give as many labels as the model has classes",
  });
}
