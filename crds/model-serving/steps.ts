import { z } from "zod";
import { decimal, tensorName } from "../primitives.ts";
import { celExactlyOne, countPresent, withRules } from "../rules.ts";

const size = z.int().min(1).max(8192);
const pointer = z
  .string()
  .max(512)
  .regex(/^(\/[^\n\r]*)?$/, "must be empty or begin with /, as a JSON Pointer");

/** What makes tensors of a request into the model's inputs. */
const before = {
  decodeImage: z
    .strictObject({
      input: tensorName.describe("BYTES tensor whose elements are PNG or JPEG files."),
      output: tensorName.describe("UINT8 tensor [n, height, width, channels]."),
      color: z.enum(["Grayscale", "RGB"]).describe("Channels that the model expects."),
    })
    .optional()
    .describe("Decode images."),
  jsonToTensors: z
    .strictObject({
      input: tensorName.describe("BYTES tensor of JSON documents, one a row."),
      fields: z
        .array(
          z.strictObject({
            pointer: pointer.describe("JSON Pointer (RFC 6901) of the value."),
            tensor: tensorName.describe("Tensor that it becomes."),
            datatype: z
              .enum(["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"])
              .describe("Type of the tensor."),
            shape: z
              .array(z.int().min(1).max(1_000_000))
              .max(8)
              .optional()
              .describe("Shape of one row. Absent: one number."),
          }),
        )
        .min(1)
        .max(64)
        .describe("The values that are read."),
    })
    .optional()
    .describe("Read tensors out of JSON documents."),
  resize: z
    .strictObject({
      tensor: tensorName.describe("UINT8 tensor [n, height, width, channels]; it keeps its name."),
      width: size.describe("Width in pixels."),
      height: size.describe("Height in pixels."),
      fit: z
        .enum(["Fill", "Contain", "Cover"])
        .optional()
        .describe("Fill stretches (what an absent field means), Contain pads, Cover crops."),
    })
    .optional()
    .describe("Resize images."),
  normalize: z
    .strictObject({
      input: tensorName.describe("Tensor of numbers, channels last."),
      output: tensorName.describe("FP32 tensor: (x × scale − mean) ÷ std, by channel."),
      scale: decimal.optional().describe('Factor, such as "0.00392156862745098" for 0 to 1. Absent: 1.'),
      mean: z.array(decimal).max(16).optional().describe("Mean of each channel. Absent: 0."),
      std: z.array(decimal).max(16).optional().describe("Standard deviation of each channel. Absent: 1."),
      layout: z.enum(["NCHW", "NHWC"]).optional().describe("Layout of the output. Absent: NCHW."),
    })
    .optional()
    .describe("Scale, centre and lay out."),
};

/** What makes the model's outputs into an answer. */
const after = {
  softmax: z
    .strictObject({
      input: tensorName.describe("Scores."),
      output: tensorName.describe("FP32 probabilities over the last axis."),
    })
    .optional()
    .describe("Turn scores into probabilities."),
  topK: z
    .strictObject({
      input: tensorName.describe("Scores."),
      scores: tensorName.describe("FP32 tensor of the k highest, falling."),
      indices: tensorName.describe("INT64 tensor of their indices."),
      k: z.int().min(1).max(1000).describe("How many."),
    })
    .optional()
    .describe("Keep the highest scores of the last axis."),
  labels: withRules(
    z.strictObject({
      input: tensorName.describe("INT64 tensor of indices."),
      output: tensorName.describe("BYTES tensor of labels."),
      values: z.array(z.string().max(256)).min(1).max(1000).optional().describe("The label of each index."),
      file: z
        .string()
        .min(1)
        .max(512)
        .optional()
        .describe("Path of one of the model's files, with the label of each index on a line."),
    }),
    [
      {
        cel: celExactlyOne(["values", "file"]),
        message: "labels: set exactly one of values and file",
        holds: (value) => countPresent(value, ["values", "file"]) === 1,
      },
    ],
  )
    .optional()
    .describe("Turn indices into labels."),
  tensorsToJson: z
    .strictObject({
      output: tensorName.describe("BYTES tensor of JSON documents, one a row."),
      fields: z
        .array(
          z.strictObject({
            tensor: tensorName.describe("Tensor that is written."),
            pointer: pointer.describe("JSON Pointer (RFC 6901) of its place."),
          }),
        )
        .min(1)
        .max(64)
        .describe("The values that are written."),
    })
    .optional()
    .describe("Write tensors into JSON documents."),
};

/** One step; a list item has no defaults, since a client-side diff would never settle on them. */
function oneOf<F extends z.ZodRawShape>(fields: F) {
  const names = Object.keys(fields);
  return withRules(z.strictObject(fields), [
    {
      cel: celExactlyOne(names),
      message: `step: set exactly one of ${names.join(", ")}`,
      holds: (value) => countPresent(value, names) === 1,
    },
  ]);
}

export const preprocessStep = oneOf(before);
export const postprocessStep = oneOf(after);
