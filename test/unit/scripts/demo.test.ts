import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { readAnswer, readHeldOut } from "../../../scripts/demo/images.ts";
import { exitCodeOf, type Outcome, outcomeLine } from "../../../scripts/demo/outcome.ts";
import { panel } from "../../../scripts/demo/panel.ts";
import { plainLines } from "../../../scripts/demo/plain.ts";
import { RecentAnswers } from "../../../scripts/demo/recent.ts";
import type { Scene } from "../../../scripts/demo/scene.ts";
import { Sweep } from "../../../scripts/demo/sweep.ts";
import { readVersions } from "../../../scripts/demo/versions.ts";

const EXAMPLES = path.join(import.meta.dirname, "../../../examples");

const scene: Scene = {
  seconds: 73.4,
  address: "http://127.0.0.1:23236/v2",
  acts: [
    { title: "serve v1", state: "Done", detail: "accuracy 0.933 over the held-out images" },
    { title: "v1 → v2 by canary", state: "UnderWay", detail: "step 2 of 3: 20 %, 40 answered" },
    { title: "a version that errs", state: "Waiting", detail: "" },
  ],
  split: { stable: "v1", canary: { version: "v2", weightPercent: 20 } },
  recent: { perSecond: 149.6, p50: 2.04, p99: 18.4 },
  history: [4, 8, 16, 32],
  sent: 1234,
  lost: 0,
};

describe("the panel", () => {
  it("shows the story, the split, the numbers and the curve", () => {
    const text = panel(scene, 100, false).join("\n");
    expect(text).toContain("1:13");
    expect(text).toContain("✔ serve v1             accuracy 0.933");
    expect(text).toContain("▸ v1 → v2 by canary    step 2 of 3");
    expect(text).toContain("80 % / 20 % v2");
    expect(text).toContain("150 requests/s   p50 2.0 ms   p99 18 ms   sent 1,234   lost 0");
    expect(text).toContain("▂▃▅█ highest 32 ms");
  });

  it("has as many lines before anything serves, so that it is drawn over itself", () => {
    const { address: _, split: _1, ...rest } = scene;
    const start: Scene = { ...rest, recent: { perSecond: 0 }, history: [], sent: 0 };
    expect(panel(start, 100, false)).toHaveLength(panel(scene, 100, false).length);
    expect(panel(start, 100, false).join("\n")).toContain("p50 – ms");
  });

  it("is never wider than the terminal, coloured or not", () => {
    for (const columns of [1, 20, 41, 80, 300]) {
      for (const line of panel(scene, columns, false)) expect([...line].length).toBeLessThanOrEqual(columns);
      const bare = panel(scene, columns, true).map(stripVTControlCharacters);
      expect(bare).toEqual(panel(scene, columns, false));
    }
  });
});

describe("plain lines", () => {
  it("tell a change of the story, else the numbers", () => {
    expect(plainLines(scene, { ...scene, acts: [] })[0]).toBe(
      " 73s  serve v1  ok  accuracy 0.933 over the held-out images",
    );
    expect(plainLines(scene, scene)).toEqual([
      " 73s  v1 → v2 by canary: step 2 of 3: 20 %, 40 answered  |  v1 80 % / 20 % v2  |  150/s p50 2.0 ms p99 18 ms  |  sent 1234 lost 0",
    ]);
  });
});

describe("the last line", () => {
  const good: Outcome = {
    requests: 5430,
    lost: 0,
    accuracy: 0.98664,
    promoted: true,
    rolledBack: true,
    seconds: 41.2,
  };

  it("says what was shown", () => {
    expect(outcomeLine(good)).toBe(
      "demo: requests=5430 lost=0 accuracy=0.987 canary=promoted rollback=ok seconds=42",
    );
    expect(exitCodeOf(good)).toBe(0);
  });

  it("says what went wrong, and the exit code does", () => {
    expect(outcomeLine({ ...good, promoted: false, rolledBack: false })).toContain(
      "canary=failed rollback=failed",
    );
    for (const wrong of [{ promoted: false }, { rolledBack: false }, { lost: 1 }, { requests: 0 }])
      expect(exitCodeOf({ ...good, ...wrong })).toBe(1);
  });
});

describe("an answer", () => {
  const body = (id: string, data: readonly unknown[]) =>
    JSON.stringify({ id, outputs: [{ name: "scores", data }] });

  it("is the digit of the highest score", () => {
    expect(readAnswer(body("a", [0, 1, 2, 9, 4, 5, 6, 7, 8, -3]), "a")).toEqual({ digit: 3 });
  });

  it("is lost with another request's id, with fewer scores, with one that is no number, or as no JSON", () => {
    const scores = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    for (const bad of [
      body("b", scores),
      body("a", scores.slice(1)),
      body("a", [...scores.slice(1), null]),
      "{",
    ])
      expect(readAnswer(bad, "a")).toHaveProperty("problem");
  });
});

describe("a sweep", () => {
  it("counts each image once, and no answer to a request sent before it", async () => {
    const sweep = new Sweep(3, 4);
    const finished = sweep.finished(new AbortController().signal);
    sweep.answered(3, true); // image 0, sent before
    sweep.answered(4, true);
    sweep.answered(7, false); // image 1 again
    sweep.answered(5, false);
    sweep.answered(6, true);
    expect(await finished).toBeCloseTo(2 / 3);
  });

  it("ends with its signal", async () => {
    const ending = new AbortController();
    const finished = new Sweep(3, 0).finished(ending.signal);
    ending.abort(new Error("stopped"));
    await expect(finished).rejects.toThrow("stopped");
  });
});

it("recent answers forget what is older than their window", () => {
  const recent = new RecentAnswers(1000);
  recent.add(0, 500);
  for (let at = 901; at <= 1000; at++) recent.add(at, at - 900);
  expect(recent.read(1000)).toEqual({ perSecond: 100, p50: 50, p99: 99 });
  expect(recent.read(5000)).toEqual({ perSecond: 0 });
});

it("every image of the held-out set is read, and every version of the demo has its name", () => {
  expect(readHeldOut(path.join(EXAMPLES, "digits/held-out/optdigits-held-out.csv"))).toHaveLength(599);
  const versionOf = readVersions(path.join(EXAMPLES, "demo"));
  expect(versionOf("011a5300ab4aeb1ce86718b314e14b3b6f5c51a46d700f658804ba95def956c8")).toBe("v2");
});
