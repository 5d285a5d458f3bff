import { describe, expect, test } from "vitest";
import { readPod } from "../../../operator/model-serving/read.ts";

function podThatEnded(exitCode: number, message?: string) {
  const terminated = { exitCode, reason: "Error", ...(message === undefined ? {} : { message }) };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    status: { containerStatuses: [{ name: "server", ready: false, restartCount: 1, state: { terminated } }] },
  };
}

describe("how a container ended", () => {
  test("is what it said itself, with what to do", () => {
    const word = JSON.stringify({ code: "DigestMismatch", message: "it is another", remedy: "set sha256" });
    expect(readPod(podThatEnded(1, word)).problems).toEqual([
      { container: "server", code: "DigestMismatch", message: "it is another: set sha256" },
    ]);
  });

  test("is no last word where its code is none: a log line may have a field of that name, of any length", () => {
    for (const code of ["", "no spaces", "x".repeat(2000), "1st"]) {
      const line = JSON.stringify({ code, message: "what a user's server logged" });
      expect(readPod(podThatEnded(1, line)).problems[0]).toMatchObject({ code: "Error" });
    }
  });

  test("is cut between two characters: what is stored of half of one is another text, written again for ever", () => {
    const word = JSON.stringify({ code: "TooLong", message: `${"x".repeat(1023)}😀` });
    const log = `log\n${"y".repeat(511)}😀`;
    for (const text of [word, log]) {
      expect(readPod(podThatEnded(1, text)).problems[0]?.message.isWellFormed()).toBe(true);
    }
  });

  test("is its exit code and one line where it was killed: log lines from before are not the reason", () => {
    const log = '{"level":"info","msg":"listening"}\n{"level":"info","msg":"model loaded"}\n';
    expect(readPod(podThatEnded(137, log)).problems[0]?.message).toBe(
      'exit code 137 (killed, or out of memory); the last line of its log: {"level":"info","msg":"model loaded"}',
    );
    expect(readPod(podThatEnded(2)).problems[0]?.message).toBe("exit code 2");
  });
});
