import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../../../lib/v2/types.ts";
import { decodeImage } from "../../../../runtimes/inference/steps/decode-image.ts";
import {
  loadImageLibrary,
  maxDecodedBytes,
  maxImagePixels,
} from "../../../../runtimes/inference/steps/images.ts";
import { resize } from "../../../../runtimes/inference/steps/resize.ts";
import type { Step } from "../../../../runtimes/inference/steps/step.ts";

const library = await loadImageLibrary();

function files(...data: Buffer[]): Tensor {
  return { name: "image", datatype: "BYTES", shape: [data.length], data };
}

async function run(step: Step, tensor: Tensor): Promise<Tensor> {
  const [made] = await step.run(new Map([[tensor.name, tensor]]));
  if (made === undefined) throw new Error("no tensor was made");
  return made;
}

/** An image [h, w, channels] of these bytes, as a PNG. */
function png(width: number, height: number, channels: 1 | 3 | 4, bytes: readonly number[]): Promise<Buffer> {
  return sharp(Buffer.from(bytes), { raw: { width, height, channels } }).png().toBuffer();
}

const rgb = decodeImage({ input: "image", output: "pixels", color: "RGB" }, library);
const grey = decodeImage({ input: "image", output: "pixels", color: "Grayscale" }, library);

describe("decodeImage", () => {
  test("PNG pixels come out as they are, row for row", async () => {
    const first = await png(2, 1, 3, [255, 0, 0, 0, 0, 255]);
    const second = await png(2, 1, 3, [1, 2, 3, 4, 5, 6]);
    expect(await run(rgb, files(first, second))).toEqual({
      name: "pixels",
      datatype: "UINT8",
      shape: [2, 1, 2, 3],
      data: expect.objectContaining(Uint8Array.of(255, 0, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6)),
    });
  });
  test("grey images become RGB and RGB becomes grey, transparency goes", async () => {
    const one = await png(1, 1, 1, [77]);
    expect([...((await run(rgb, files(one))).data as Uint8Array)]).toEqual([77, 77, 77]);
    expect(await run(grey, files(one))).toMatchObject({ shape: [1, 1, 1, 1] });
    const transparent = await png(1, 1, 4, [9, 8, 7, 0]);
    expect([...((await run(rgb, files(transparent))).data as Uint8Array)]).toEqual([9, 8, 7]);
    const white = await png(1, 1, 3, [255, 255, 255]);
    expect([...((await run(grey, files(white))).data as Uint8Array)]).toEqual([255]);
  });
  test("16-bit PNGs become 8 bits", async () => {
    const deep = await sharp(Buffer.from([128]), { raw: { width: 1, height: 1, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe("ushort");
    expect([...((await run(grey, files(deep))).data as Uint8Array)]).toEqual([128]);
  });
  test("JPEG is decoded", async () => {
    const jpeg = await sharp({
      create: { width: 16, height: 8, channels: 3, background: { r: 200, g: 10, b: 10 } },
    })
      .jpeg({ quality: 95 })
      .toBuffer();
    const { shape, data } = await run(rgb, files(jpeg));
    expect(shape).toEqual([1, 8, 16, 3]);
    expect(Math.abs(((data as Uint8Array)[0] ?? 0) - 200)).toBeLessThan(8);
  });
  test("no rows in, no rows out", async () => {
    expect((await run(rgb, files())).shape[0]).toBe(0);
  });
  test("images of several sizes need a resize behind it", async () => {
    const small = await png(1, 1, 1, [1]);
    const wide = await png(2, 1, 1, [1, 2]);
    await expect(run(grey, files(small, wide))).rejects.toMatchObject({ status: 400 });
    const fitted = decodeImage({ input: "image", output: "pixels", color: "Grayscale" }, library, {
      tensor: "pixels",
      width: 3,
      height: 2,
    });
    expect((await run(fitted, files(small, wide))).shape).toEqual([2, 2, 3, 1]);
  });

  const refused: readonly (readonly [string, () => Promise<Buffer>, string])[] = [
    ["text", async () => Buffer.from("hello"), "not a PNG or JPEG"],
    ["nothing", async () => Buffer.alloc(0), "not a PNG or JPEG"],
    ["an SVG", async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), "not a PNG or JPEG"],
    [
      "a GIF",
      async () =>
        sharp(await png(1, 1, 1, [1]))
          .gif()
          .toBuffer(),
      "not a PNG or JPEG",
    ],
    [
      "a PNG that was cut",
      async () => (await png(64, 64, 3, new Array(64 * 64 * 3).fill(7))).subarray(0, 60),
      "decoded",
    ],
    ["only a PNG's signature", async () => (await png(1, 1, 1, [1])).subarray(0, 8), "decoded"],
    ["a bomb", async () => bomb(), "decoded"],
  ];
  test.each(refused)("%s is refused with 400", async (_name, make, reason) => {
    await expect(run(rgb, files(await make()))).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining(reason),
    });
  });
  test("images that are each small enough are refused where they are too much together", async () => {
    const side = Math.floor(Math.sqrt(maxDecodedBytes / 3 / 1.5));
    const large = await sharp({ create: { width: side, height: side, channels: 3, background: "black" } })
      .png()
      .toBuffer();
    // Were they taken, a hundred megabytes of pixels are nothing to print.
    const refusal: unknown = await run(rgb, files(large, large)).then(
      () => "taken",
      (thrown) => thrown,
    );
    expect(refusal).toMatchObject({
      status: 400,
      message: expect.stringContaining("bytes when decoded"),
    });
  });
  test("a tensor that isn't BYTES is refused", async () => {
    const tensor: Tensor = { name: "image", datatype: "UINT8", shape: [1], data: Uint8Array.of(1) };
    await expect(run(rgb, tensor)).rejects.toMatchObject({ status: 400 });
  });
});

/** A PNG of a few kilobytes that says, and has, more pixels than the bound. */
async function bomb(): Promise<Buffer> {
  const side = Math.ceil(Math.sqrt(maxImagePixels)) + 1;
  return sharp({
    create: { width: side, height: side, channels: 3, background: "black" },
    limitInputPixels: false,
  })
    .toColourspace("b-w")
    .png({ palette: true, colours: 2 })
    .toBuffer();
}

describe("resize", () => {
  const pixels: Tensor = {
    name: "pixels",
    datatype: "UINT8",
    shape: [2, 1, 2, 1],
    data: Uint8Array.of(0, 0, 200, 200),
  };
  test("every image of the batch gets the new size, by itself", async () => {
    const { shape, data } = await run(resize({ tensor: "pixels", width: 4, height: 3 }, library), pixels);
    expect(shape).toEqual([2, 3, 4, 1]);
    expect([...(data as Uint8Array)]).toEqual([...new Array(12).fill(0), ...new Array(12).fill(200)]);
  });
  test("Contain pads with black, Cover crops", async () => {
    const square = { tensor: "pixels", width: 2, height: 2 } as const;
    const white: Tensor = { ...pixels, shape: [1, 1, 4, 1], data: Uint8Array.of(255, 255, 255, 255) };
    const contained = await run(resize({ ...square, width: 4, height: 3, fit: "Contain" }, library), white);
    expect([...(contained.data as Uint8Array)]).toEqual([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    const covered = await run(resize({ ...square, fit: "Cover" }, library), white);
    expect([...(covered.data as Uint8Array)]).toEqual([255, 255, 255, 255]);
  });
  test("the same size is the same tensor", async () => {
    expect(await run(resize({ tensor: "pixels", width: 2, height: 1 }, library), pixels)).toBe(pixels);
  });
  test("refuses what is not images", async () => {
    const step = resize({ tensor: "pixels", width: 2, height: 2 }, library);
    const float: Tensor = { name: "pixels", datatype: "FP32", shape: [1, 1, 1, 1], data: Float32Array.of(1) };
    await expect(run(step, float)).rejects.toMatchObject({ status: 400 });
    await expect(run(step, { ...pixels, shape: [2, 2] })).rejects.toMatchObject({ status: 400 });
    await expect(
      run(step, { ...pixels, shape: [2, 1, 0, 1], data: new Uint8Array(0) }),
    ).rejects.toMatchObject({ status: 400 });
  });
});
