import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { routerConfig } from "../../../lib/config/router.ts";
import { ConfigLedger } from "../../../runtimes/router/config-ledger.ts";

function config(generation: string, sequence?: number) {
  return routerConfig.parse({
    generation,
    ...(sequence === undefined ? {} : { sequence }),
    model: "m",
    stable: { revision: "r", weightPercent: 100, backend: { http: "http://s:80" } },
  });
}

/** What is in force after a history of pushes and of contents that the file showed. */
function inForce(ledger: ConfigLedger, history: ["push" | "file", ReturnType<typeof config>][]): string[] {
  return history.map(([way, offered]) => {
    if (ledger.judge(offered, way) === "apply") ledger.accept(offered, way);
    else if (way === "push" && ledger.judge(offered, way) === "same") ledger.accept(offered, way);
    return ledger.latest?.generation ?? "";
  });
}

describe("which configuration is in force", () => {
  it("is the file's as long as nothing was pushed", () => {
    expect(
      inForce(new ConfigLedger(), [
        ["file", config("g1")],
        ["file", config("g2")],
        ["file", config("g1")],
      ]),
    ).toEqual(["g1", "g2", "g1"]);
  });

  it("is never undone by a file that lags behind pushes", () => {
    expect(
      inForce(new ConfigLedger(), [
        ["file", config("g1")],
        ["push", config("g2")],
        ["push", config("g3")],
        ["file", config("g2")],
        ["file", config("g3")],
        ["file", config("g4")],
      ]),
    ).toEqual(["g1", "g2", "g3", "g3", "g3", "g4"]);
  });

  it("survives a rollback to a generation seen before, while the file still shows the one rolled back", () => {
    expect(
      inForce(new ConfigLedger(), [
        ["file", config("stable")],
        ["push", config("canary")],
        ["push", config("stable")],
        ["file", config("canary")],
        ["file", config("stable")],
      ]),
    ).toEqual(["stable", "canary", "stable", "stable", "stable"]);
  });

  it("goes by sequence where both have one, whatever the way and however many were skipped", () => {
    expect(
      inForce(new ConfigLedger(), [
        ["push", config("g3", 3)],
        ["file", config("g1", 1)],
        ["file", config("g2", 2)],
        ["push", config("g2", 2)],
        ["file", config("g4", 4)],
      ]),
    ).toEqual(["g3", "g3", "g3", "g3", "g4"]);
  });

  it("is after a restart what was pushed before it, though the file is older", () => {
    const before = new ConfigLedger();
    inForce(before, [
      ["file", config("g1")],
      ["push", config("g2")],
    ]);
    const state = before.state();
    expect(inForce(new ConfigLedger(state), [["file", config("g1")]])).toEqual(["g2"]);
    expect(inForce(new ConfigLedger(state), [["file", config("g3")]])).toEqual(["g3"]);
  });

  it("with sequences, ends at the highest that was offered, in any order and by any way", () => {
    const offers = fc.array(fc.tuple(fc.constantFrom("push" as const, "file" as const), fc.nat(50)), {
      minLength: 1,
    });
    fc.assert(
      fc.property(offers, (history) => {
        const ledger = new ConfigLedger();
        const shown = inForce(
          ledger,
          history.map(([way, sequence]) => [way, config(`g${sequence}`, sequence)]),
        );
        expect(shown.at(-1)).toBe(`g${Math.max(...history.map(([, sequence]) => sequence))}`);
      }),
    );
  });
});
