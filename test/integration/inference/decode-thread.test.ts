import { expect, test } from "vitest";
import { CallSignal } from "../../../lib/grpc/call-signal.ts";
import { RequestDecoder } from "../../../runtimes/inference/rest/decode-thread.ts";
import { eventually } from "../../support/eventually.ts";

const values = 400_000;
/** About 2 MB: too much to be read at once. */
const text = Buffer.from(
  JSON.stringify({
    inputs: [{ name: "x", datatype: "FP32", shape: [values], data: new Array(values).fill(0.25) }],
  }),
);
const body = () => Buffer.from(text);
const patient = () => ({ signal: new CallSignal(), deadline: performance.now() + 600_000 });

/** A request that is over before its turn, and how. */
async function codeOf(decoding: unknown): Promise<unknown> {
  return Promise.resolve(decoding).then(
    () => "decoded",
    (thrown: { code?: string }) => thrown.code,
  );
}

test("what waits is bounded in bytes: beyond it the answer is 503, and what was taken is decoded in its order", async () => {
  const decoder = new RequestDecoder(2 * text.length);
  const order: number[] = [];
  const taken = [0, 1, 2].map(async (n) => {
    const decoded = await decoder.decode(body(), undefined, patient());
    order.push(n);
    return decoded.inputs[0]?.shape;
  });
  expect(decoder.waiting).toBe(2);
  expect(() => decoder.decode(body(), undefined, patient())).toThrow(
    expect.objectContaining({ code: "QueueFull", status: 503 }),
  );
  expect(await Promise.all(taken)).toEqual([[values], [values], [values]]);
  expect(order).toEqual([0, 1, 2]);
  expect(decoder.waiting).toBe(0);
});

test("a body larger than the bound is taken where nothing waits", async () => {
  const decoder = new RequestDecoder(1);
  const decodings = [0, 1].map(() => codeOf(decoder.decode(body(), undefined, patient())));
  expect(await Promise.all(decodings)).toEqual(["decoded", "decoded"]);
});

test("a client that leaves takes its body out of the queue, and makes room for another", async () => {
  const decoder = new RequestDecoder(text.length);
  const first = codeOf(decoder.decode(body(), undefined, patient()));
  const signal = new CallSignal();
  const second = codeOf(decoder.decode(body(), undefined, { signal, deadline: performance.now() + 600_000 }));
  expect(decoder.waiting).toBe(1);
  signal.abort();
  expect(decoder.waiting).toBe(0);
  const third = codeOf(decoder.decode(body(), undefined, patient()));
  expect(await Promise.all([first, second, third])).toEqual(["decoded", "ClientClosed", "decoded"]);
  expect(
    await codeOf(decoder.decode(body(), undefined, { signal, deadline: performance.now() + 600_000 })),
  ).toBe("ClientClosed");
});

test("a deadline that passes takes its body out of the queue", async () => {
  const decoder = new RequestDecoder();
  const first = codeOf(decoder.decode(body(), undefined, patient()));
  const late = codeOf(
    decoder.decode(body(), undefined, { signal: new CallSignal(), deadline: performance.now() }),
  );
  expect(decoder.waiting).toBe(1);
  expect(await late).toBe("DeadlineExceeded");
  expect(decoder.waiting).toBe(0);
  expect(await first).toBe("decoded");
});

test("one that ends while it is decoded is thrown away, and the next has its turn", async () => {
  const decoder = new RequestDecoder();
  const signal = new CallSignal();
  const first = codeOf(decoder.decode(body(), undefined, { signal, deadline: performance.now() + 600_000 }));
  const second = codeOf(decoder.decode(body(), undefined, patient()));
  signal.abort();
  expect(await Promise.all([first, second])).toEqual(["ClientClosed", "decoded"]);
  await eventually("the queue is empty", () => decoder.waiting === 0);
});
