import type { InferenceStep } from "../../../lib/config/inference.ts";
import { messageOf, NaruError } from "../../../lib/errors.ts";
import { isBytes } from "../../../lib/v2/datatypes.ts";
import {
  type ImageLibrary,
  mapImages,
  maxDecodedBytes,
  maxImagePixels,
  type Pixels,
  type Resize,
  resized,
  stacked,
} from "./images.ts";
import { type Step, tensorNamed, unfit } from "./step.ts";

const kind = "decodeImage";
const jpegMagic = Buffer.from([0xff, 0xd8, 0xff]);
const pngMagic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/**
 * BYTES of n PNG or JPEG files → UINT8 [n, height, width, channels], transparency taken off, pixels as they are stored
 * (an EXIF rotation is not applied). With `resize`, the step that follows it, images are decoded straight to
 * that size and may differ in theirs; without it they must be of one size.
 */
export function decodeImage(
  { input, output, color }: NonNullable<InferenceStep["decodeImage"]>,
  library: ImageLibrary,
  resize?: Resize,
): Step {
  const channels = color === "RGB" ? 3 : 1;

  async function decode(file: Buffer, row: number): Promise<Pixels> {
    const refuse = (reason: string, remedy: string) => unfit(kind, input, `row ${row} ${reason}`, remedy);
    // Every other format that libvips reads would be more for a stranger to try.
    if (!file.subarray(0, 3).equals(jpegMagic) && !file.subarray(0, 8).equals(pngMagic)) {
      throw refuse("is not a PNG or JPEG file", "send the file's bytes as they are");
    }
    try {
      const image = library(file, { limitInputPixels: maxImagePixels, failOn: "warning" });
      const { width = 0, height = 0 } = await image.metadata();
      const pixels = resize === undefined ? width * height : resize.width * resize.height;
      if (width * height > maxImagePixels) {
        throw refuse(`has ${width} × ${height} pixels`, `send images of up to ${maxImagePixels} pixels`);
      }
      if (pixels * channels > maxDecodedBytes) throw tooMuch(input);
      const sized = resize === undefined ? image : resized(image.removeAlpha(), resize);
      const { data, info } = await sized
        .removeAlpha()
        .toColourspace(color === "RGB" ? "srgb" : "b-w")
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, channels: info.channels, data };
    } catch (error) {
      if (error instanceof NaruError) throw error;
      throw refuse(`can't be decoded: ${reasonOf(error)}`, "send a whole PNG or JPEG file");
    }
  }

  return {
    kind: resize === undefined ? kind : `${kind} and resize`,
    reads: [input],
    writes: [output],
    takes: { name: input, datatype: "BYTES", shape: [-1] },
    describe: () => [
      {
        name: output,
        datatype: "UINT8",
        shape: [-1, resize?.height ?? -1, resize?.width ?? -1, channels],
      },
    ],
    async run(tensors) {
      const { data } = tensorNamed(tensors, kind, input);
      if (!isBytes(data)) throw unfit(kind, input, "is not BYTES", "send one image file an element");
      let total = 0;
      const images = await mapImages(data, async (file, row) => {
        const image = await decode(file, row);
        total += image.data.length;
        if (total > maxDecodedBytes) throw tooMuch(input);
        return image;
      });
      const [first] = images;
      const { width = 0, height = 0 } = first ?? {};
      const other = images.find((image) => image.width !== width || image.height !== height);
      if (other !== undefined) {
        throw unfit(
          kind,
          input,
          `holds images of ${width} × ${height} and of ${other.width} × ${other.height}`,
          "send images of one size in a request, or put a resize behind decodeImage",
        );
      }
      const shape = [images.length, height, width, channels];
      return [{ name: output, datatype: "UINT8", shape, data: stacked(images) }];
    },
  };
}

function tooMuch(input: string): NaruError {
  return unfit(
    kind,
    input,
    `holds images of more than ${maxDecodedBytes} bytes when decoded`,
    "send fewer or smaller images in a request",
  );
}

/** libvips' own words, one line of them: they name formats and sizes, never content. */
function reasonOf(error: unknown): string {
  return (messageOf(error).split("\n")[0] ?? "").slice(0, 200);
}
