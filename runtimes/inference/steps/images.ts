import type { Sharp, SharpOptions } from "sharp";
import type { InferenceStep } from "../../../lib/config/inference.ts";
import { messageOf, NaruError } from "../../../lib/errors.ts";

/** What of sharp is used; the package is loaded only for a model that has a step with images. */
export type ImageLibrary = (input: Buffer | Uint8Array, options: SharpOptions) => Sharp;

export type Resize = NonNullable<InferenceStep["resize"]>;

/** UINT8 pixels [height, width, channels]. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** A 32-megapixel photograph; what a small file that unfolds to gigabytes is stopped by. */
export const maxImagePixels = 2 ** 25;
/** Of all images of one request together, decoded. */
export const maxDecodedBytes = 2 ** 27;
/** Images of one request that are decoded at a time; libvips runs each in the thread pool. */
const atOnce = 4;

export async function loadImageLibrary(): Promise<ImageLibrary> {
  try {
    const { default: sharp } = await import("sharp");
    // Its cache is for one image opened again and again; here it would only hold memory.
    sharp.cache(false);
    return sharp;
  } catch (error) {
    throw new NaruError({
      code: "ImageLibraryMissing",
      message: `steps with images need sharp: ${messageOf(error)}`,
      remedy: "install the package's optional dependencies for this platform, or send tensors",
      cause: error,
    });
  }
}

/** sharp's names for how an image fills another shape; stretching is what an absent setting means. */
export function resized(image: Sharp, { width, height, fit = "Fill" }: Resize): Sharp {
  const fits = { Fill: "fill", Contain: "contain", Cover: "cover" } as const;
  return image.resize(width, height, { fit: fits[fit], background: "black" });
}

/** In their order, a few at a time; stops at the first that fails. */
export async function mapImages<T, R>(
  items: readonly T[],
  each: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    const share = items.slice(start, start + atOnce);
    results.push(...(await Promise.all(share.map((item, index) => each(item, start + index)))));
  }
  return results;
}

/** Images of one size as one tensor's data, one behind the other. */
export function stacked(images: readonly Pixels[]): Uint8Array {
  const [first] = images;
  if (first !== undefined && images.length === 1) return first.data;
  const data = new Uint8Array(images.length * (first?.data.length ?? 0));
  for (const [index, image] of images.entries()) data.set(image.data, index * image.data.length);
  return data;
}
