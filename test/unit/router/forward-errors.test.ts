import { describe, expect, it } from "vitest";
import { isConnectionRefused } from "../../../runtimes/router/forward-errors.ts";

const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

describe("a connection that nobody took", () => {
  it("is told wherever it is among the causes", () => {
    expect(isConnectionRefused(refused)).toBe(true);
    expect(
      isConnectionRefused(new Error("stream cancelled", { cause: new Error("session", { cause: refused }) })),
    ).toBe(true);
  });

  it("is not seen in other failures", () => {
    expect(isConnectionRefused(Object.assign(new Error("reset"), { code: "ECONNRESET" }))).toBe(false);
    expect(isConnectionRefused("ECONNREFUSED")).toBe(false);
  });
});
