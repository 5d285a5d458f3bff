import { type ImageLibrary, mapImages, type Pixels, type Resize, resized, stacked } from "./images.ts";
import { knownShape, type Step, tensorNamed, unfit } from "./step.ts";

/** UINT8 [n, height, width, channels] → the same at another size, under the same name. Lanczos, as sharp's own. */
export function resize(settings: Resize, library: ImageLibrary): Step {
  const { tensor: name, width, height } = settings;
  return {
    kind: "resize",
    reads: [name],
    writes: [name],
    describe(known) {
      const [n = -1, , , channels = -1] = knownShape(known, name);
      return [{ name, datatype: "UINT8", shape: [n, height, width, channels] }];
    },
    async run(tensors) {
      const tensor = tensorNamed(tensors, "resize", name);
      const { shape, datatype, data } = tensor;
      const [n = 0, fromHeight = 0, fromWidth = 0, channels = 0] = shape;
      if (datatype !== "UINT8" || !(data instanceof Uint8Array) || shape.length !== 4) {
        throw unfit(
          "resize",
          name,
          `is ${datatype} [${shape}]`,
          "give it UINT8 [n, height, width, channels]",
        );
      }
      if (fromHeight === height && fromWidth === width) return [tensor];
      if ((channels !== 1 && channels !== 3) || fromHeight === 0 || fromWidth === 0) {
        throw unfit(
          "resize",
          name,
          `has the shape [${shape}]`,
          "give it images of 1 or 3 channels that have pixels",
        );
      }
      const size = fromHeight * fromWidth * channels;
      const raw = { width: fromWidth, height: fromHeight, channels: channels === 1 ? 1 : 3 } as const;
      // libvips works in sRGB and would answer three channels for one.
      const space = channels === 1 ? "b-w" : "srgb";
      const sources = Array.from({ length: n }, (_, row) => data.subarray(row * size, (row + 1) * size));
      const images = await mapImages(sources, async (source): Promise<Pixels> => {
        const image = await resized(library(source, { raw }), settings).toColourspace(space).raw().toBuffer();
        return { width, height, channels, data: image };
      });
      return [{ name, datatype: "UINT8", shape: [n, height, width, channels], data: stacked(images) }];
    },
  };
}
