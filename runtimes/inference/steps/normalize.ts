import type { InferenceStep } from "../../../lib/config/inference.ts";
import { toFloat32 } from "./numbers.ts";
import { invalidStep, knownShape, type Step, tensorNamed, unfit } from "./step.ts";

/**
 * Numbers with the channel as their last axis → FP32 (x × scale − mean[c]) ÷ std[c]. Images [n, h, w, c] come out
 * as [n, c, h, w] unless NHWC is asked for; tensors of another rank keep their layout. A mean or std of one
 * value is every channel's.
 */
export function normalize(settings: NonNullable<InferenceStep["normalize"]>): Step {
  const { input, output, scale = 1, mean = [], std = [], layout = "NCHW" } = settings;
  if (std.some((value) => value === 0))
    throw invalidStep("normalize", "std has a 0", "leave std out, or use 1");
  return {
    kind: "normalize",
    reads: [input],
    writes: [output],
    describe(known) {
      const shape = knownShape(known, input);
      const [n = -1, h = -1, w = -1, c = -1] = shape;
      const planes = layout === "NCHW" && shape.length === 4;
      return [{ name: output, datatype: "FP32", shape: planes ? [n, c, h, w] : shape }];
    },
    run(tensors) {
      const tensor = tensorNamed(tensors, "normalize", input);
      const { shape } = tensor;
      const channels = shape.at(-1) ?? 1;
      for (const values of [mean, std]) {
        if (values.length > 1 && values.length !== channels) {
          throw unfit(
            "normalize",
            input,
            `has ${channels} channels; the step is set for ${values.length}`,
            "send as many channels as the model takes, last in the shape",
          );
        }
      }
      const values = toFloat32("normalize", tensor);
      const data = new Float32Array(values.length);
      const [n = 0, h = 0, w = 0] = shape;
      const planes = layout === "NCHW" && shape.length === 4;
      const pixels = planes ? h * w : channels === 0 ? 0 : values.length / channels;
      const images = planes ? n : 1;
      // Where element (image, pixel, channel) goes: beside its channels, or into its channel's plane.
      const pixelStep = planes ? 1 : channels;
      const channelStep = planes ? pixels : 1;
      for (let channel = 0; channel < channels; channel += 1) {
        const centre = mean[mean.length === 1 ? 0 : channel] ?? 0;
        const spread = std[std.length === 1 ? 0 : channel] ?? 1;
        for (let image = 0; image < images; image += 1) {
          const start = image * pixels * channels;
          for (let pixel = 0; pixel < pixels; pixel += 1) {
            const value = values[start + pixel * channels + channel] ?? 0;
            data[start + pixel * pixelStep + channel * channelStep] = (value * scale - centre) / spread;
          }
        }
      }
      return [{ name: output, datatype: "FP32", shape: planes ? [n, channels, h, w] : shape, data }];
    },
  };
}
