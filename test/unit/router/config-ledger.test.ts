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

/** What is in force after each of the contents that came, by whatever way. */
function inForce(ledger: ConfigLedger, history: ReturnType<typeof config>[]): string[] {
  return history.map((offered) => {
    if (ledger.judge(offered) !== "stale") ledger.accept(offered);
    return ledger.latest?.generation ?? "";
  });
}

describe("which configuration is in force", () => {
  it("is the last one of a file that a person writes, without numbers", () => {
    expect(inForce(new ConfigLedger(), [config("g1"), config("g2"), config("g1")])).toEqual([
      "g1",
      "g2",
      "g1",
    ]);
  });

  it("is the one with the highest number, however many were skipped", () => {
    const history = [config("g3", 3), config("g1", 1), config("g2", 2), config("g4", 4), config("g0")];
    expect(inForce(new ConfigLedger(), history)).toEqual(["g3", "g3", "g3", "g4", "g4"]);
  });

  it("survives a rollback to a content that was there before, while the file still shows the one rolled back", () => {
    const history = [config("stable", 1), config("canary", 2), config("stable", 3), config("canary", 2)];
    expect(inForce(new ConfigLedger(), history)).toEqual(["stable", "canary", "stable", "stable"]);
  });

  it("is not taken back by what was recorded earlier, not even in two steps through the content in force", () => {
    const ledger = new ConfigLedger();
    inForce(ledger, [config("stable", 1), config("canary", 2), config("stable", 3)]);
    expect(ledger.judge(config("stable", 1))).toBe("stale");
    expect(inForce(ledger, [config("stable", 1), config("canary", 2)])).toEqual(["stable", "stable"]);
  });

  it("is the same when it comes again", () => {
    const ledger = new ConfigLedger();
    inForce(ledger, [config("g1", 1)]);
    expect(ledger.judge(config("g1", 1))).toBe("same");
  });

  it("is after a restart what it was before, though the file is older", () => {
    const before = new ConfigLedger();
    inForce(before, [config("g1", 1), config("g2", 2)]);
    const state = before.state();
    if (state === undefined) throw new Error("something was accepted");
    expect(inForce(new ConfigLedger(state), [config("g1", 1)])).toEqual(["g2"]);
    expect(inForce(new ConfigLedger(state), [config("g3", 3)])).toEqual(["g3"]);
  });

  it("ends at the highest number that was offered, in any order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1 }), (history) => {
        const shown = inForce(
          new ConfigLedger(),
          history.map((sequence) => config(`g${sequence}`, sequence)),
        );
        expect(shown.at(-1)).toBe(`g${Math.max(...history)}`);
      }),
    );
  });
});
