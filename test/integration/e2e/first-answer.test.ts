import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ModelMetadata, requestOf } from "../../../cli/infer-request.ts";
import { heldOut } from "../cli/naru-process.ts";
import { startStand } from "./stand.ts";

test("naru up examples/digits: the address that it prints answers, and how long that took is printed", async () => {
  const began = performance.now();
  const stand = await startStand("digits");
  try {
    const [, url] = await stand.up.printed(/^modelserving\/digits {2}(http:\/\/\S+\/v2) {2}grpc \S+$/m);
    const model = `${url}/models/digits`;
    const metadata = (await (await fetch(model)).json()) as ModelMetadata;
    const image = await readFile(join(heldOut, "digit-7.png"));
    const { headers, body } = requestOf(image, "digit-7.png", metadata);
    const answer = await fetch(`${model}/infer`, { method: "POST", headers, body: Buffer.from(body) });
    const { outputs } = (await answer.json()) as { outputs: { name: string; data: number[] }[] };
    expect(outputs.find(({ name }) => name === "digit")?.data).toEqual([7]);
    console.log(`naru up examples/digits: first answer after ${Math.round(performance.now() - began)} ms`);
  } finally {
    await stand.stop();
  }
});
