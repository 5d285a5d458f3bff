import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { completionScript, SHELLS } from "../../../cli/completion-script.ts";
import { failureOf } from "../../../cli/failure.ts";
import { requestOf } from "../../../cli/infer-request.ts";
import { buildProgram } from "../../../cli/program.ts";
import { versionText } from "../../../cli/version.ts";
import { NaruError } from "../../../lib/errors.ts";
import { ClusterError } from "../../../operator/engine/cluster.ts";

const commands = buildProgram().commands.map((command) => command.name());

describe("the commands", () => {
  test("are those that the guide names", () => {
    const expected = [
      ...["up", "get", "describe", "delete", "logs", "infer", "validate"],
      ...["promote", "abort", "retry", "pause", "resume", "completion", "version"],
    ];
    expect(commands.toSorted()).toEqual(expected.toSorted());
  });

  test("each says in one line what it does", () => {
    for (const command of buildProgram().commands) {
      expect(command.summary(), command.name()).toMatch(/^[a-z].{5,100}[^.]$/);
    }
  });
});

test("--version and version print the same, as users of either habit expect", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(buildProgram().version()).toBe(versionText());
  expect(versionText()).toMatch(new RegExp(`^naru ${version} \\(Node.js v24`));
});

describe("completion scripts", () => {
  test.each(SHELLS)("%s names every command", (shell) => {
    const script = completionScript(shell, buildProgram());
    for (const name of commands) expect(script).toContain(name);
  });

  test("bash completes commands and options with it", () => {
    const script = completionScript("bash", buildProgram());
    const complete = (words: string) =>
      execFileSync("bash", [
        "-c",
        `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _naru; echo "\${COMPREPLY[@]}"`,
      ])
        .toString()
        .trim();
    expect(complete("naru pro")).toBe("promote");
    expect(complete("naru get --out")).toBe("--output");
  });
});

describe("what a command throws", () => {
  test("says what to do, and fails with 1", () => {
    const error = new NaruError({ code: "NotFound", message: "m", remedy: "r", status: 404 });
    expect(failureOf(error)).toEqual({ exitCode: 1, text: "error: m\n  fix: r" });
  });

  test("a command line that makes no sense fails with 2; help with 0", () => {
    expect(failureOf(new NaruError({ code: "Usage", message: "m", remedy: "r" })).exitCode).toBe(2);
    expect(failureOf(new CommanderError(1, "commander.unknownOption", "")).exitCode).toBe(2);
    expect(failureOf(new CommanderError(0, "commander.helpDisplayed", ""))).toEqual({
      exitCode: 0,
      text: "",
    });
  });

  test("another program's refusal has a remedy too", () => {
    expect(failureOf(new ClusterError("NotFound", "gone")).text).toBe(
      "error: gone\n  fix: naru get shows what is there",
    );
  });
});

describe("a file to be sent", () => {
  const image = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47]), Buffer.from("rest")]);
  const metadata = { name: "digits", inputs: [{ name: "image", datatype: "BYTES", shape: [-1] }] };

  test("an image becomes one BYTES element of the binary extension", () => {
    const { headers, body } = requestOf(image, "7.png", metadata);
    const length = Number(headers["inference-header-content-length"]);
    const header = JSON.parse(Buffer.from(body).subarray(0, length).toString());
    expect(header.inputs).toEqual([
      { name: "image", datatype: "BYTES", shape: [1], parameters: { binary_data_size: 12 } },
    ]);
    expect(Buffer.from(body).readUInt32LE(length)).toBe(8);
    expect(Buffer.from(body).subarray(length + 4)).toEqual(image);
  });

  test("an image for a model that takes numbers is refused with what it takes", () => {
    const numbers = { name: "m", inputs: [{ name: "x", datatype: "FP32", shape: [-1, 8] }] };
    expect(() => requestOf(image, "7.png", numbers)).toThrow('model "m" takes x FP32 [-1, 8], not an image');
  });

  test("JSON is sent as it is; what is neither is refused", () => {
    const json = Buffer.from('{"inputs": []}');
    expect(requestOf(json, "a.json", metadata).body).toEqual(json);
    expect(() => requestOf(Buffer.from("[1]"), "a.json", metadata)).toThrow("no V2 request");
    expect(() => requestOf(Buffer.from("GIF89a"), "a.gif", metadata)).toThrow("no JSON");
  });
});
