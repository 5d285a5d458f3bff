import { describe, expect, it } from "vitest";
import type { Tensor } from "../../../lib/v2/types.ts";
import { combineTensors } from "../../../runtimes/router/graph/combine.ts";
import { holds } from "../../../runtimes/router/graph/condition.ts";

const fp32 = (...values: number[]): Tensor => ({
  name: "t",
  datatype: "FP32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const half = (...values: number[]): Tensor => ({
  name: "t",
  datatype: "FP16",
  shape: [values.length],
  data: new Uint16Array(Float16Array.from(values).buffer),
});
const int64 = (...values: bigint[]): Tensor => ({
  name: "t",
  datatype: "INT64",
  shape: [values.length],
  data: BigInt64Array.from(values),
});

describe("a switch's condition", () => {
  it("compares a parameter as text, and a number as a number", () => {
    expect(holds({ parameter: "p", equals: "gold" }, { p: "gold" }, [])).toBe(true);
    expect(holds({ parameter: "p", equals: "1" }, { p: 1 }, [])).toBe(true);
    expect(holds({ parameter: "p", equals: "1.0" }, { p: 1 }, [])).toBe(true);
    expect(holds({ parameter: "p", equals: "true" }, { p: true }, [])).toBe(true);
    expect(holds({ parameter: "p", equals: "" }, { p: 0 }, [])).toBe(false);
    expect(holds({ parameter: "p", equals: "gold" }, {}, [])).toBe(false);
  });

  it("wants all of its comparisons, the lower bound included and the upper one not", () => {
    const between = { parameter: "p", atLeast: 1, lessThan: 2 };
    expect([0.9, 1, 1.9, 2].map((p) => holds(between, { p }, []))).toEqual([false, true, true, false]);
    expect(holds(between, { p: "text" }, [])).toBe(false);
  });

  it("reads an output's first element, whatever its type; NaN and an empty output hold for nothing", () => {
    expect(holds({ output: "t", atLeast: 0.5 }, {}, [fp32(0.5, 0)])).toBe(true);
    expect(holds({ output: "t", lessThan: 0 }, {}, [half(-1.5)])).toBe(true);
    expect(holds({ output: "t", equals: "9007199254740993" }, {}, [int64(9007199254740993n)])).toBe(true);
    expect(holds({ output: "t", equals: "9007199254740992" }, {}, [int64(9007199254740993n)])).toBe(false);
    const label: Tensor = { name: "t", datatype: "BYTES", shape: [1], data: [Buffer.from("나루")] };
    expect(holds({ output: "t", equals: "나루" }, {}, [label])).toBe(true);
    expect(holds({ output: "t", atLeast: 0 }, {}, [fp32(Number.NaN)])).toBe(false);
    expect(holds({ output: "t", atLeast: 0 }, {}, [fp32()])).toBe(false);
    expect(holds({ output: "other", atLeast: 0 }, {}, [fp32(1)])).toBe(false);
  });
});

describe("combining tensors", () => {
  it("takes the mean in double precision, and of half floats as numbers", () => {
    expect(combineTensors([fp32(1, 2), fp32(3, 6)], "Mean").data).toEqual(Float32Array.of(2, 4));
    const mean = combineTensors([half(1, -2), half(3, -4)], "Mean");
    expect(mean.datatype).toBe("FP16");
    expect(new Float16Array((mean.data as Uint16Array).buffer as ArrayBuffer)).toEqual(
      Float16Array.of(2, -3),
    );
  });

  it("takes the maximum, keeping NaN, of 64-bit integers beyond 2^53 too", () => {
    expect(combineTensors([fp32(1, Number.NaN), fp32(3, 1)], "Max").data).toEqual(
      Float32Array.of(3, Number.NaN),
    );
    const greatest = combineTensors([int64(9007199254740993n), int64(9007199254740992n)], "Max");
    expect(greatest.data).toEqual(BigInt64Array.of(9007199254740993n));
  });

  it("changes none of the tensors that it was given", () => {
    const [a, b] = [fp32(1), fp32(3)];
    combineTensors([a, b], "Max");
    expect(a.data).toEqual(Float32Array.of(1));
  });

  it("refuses what has no such combination, and shapes that differ", () => {
    expect(() => combineTensors([int64(1n), int64(2n)], "Mean")).toThrow("INT64 tensors have no Mean");
    expect(() => combineTensors([fp32(1), fp32(1, 2)], "Max")).toThrow("FP32 [1] and as FP32 [2]");
    expect(() => combineTensors([fp32(1), fp32(1)], undefined)).toThrow("arrives over 2 edges");
  });
});
