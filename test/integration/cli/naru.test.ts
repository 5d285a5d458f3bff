import fs from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { preferredServicePort } from "../../../operator/standalone/ports.ts";
import {
  type Answer,
  digitsYaml,
  exampleModel,
  folderWith,
  heldOut,
  modelOf,
  naru,
  naruReading,
  naruTo,
  naruWith,
  Up,
} from "./naru-process.ts";

const running: Up[] = [];
const folders: string[] = [];

async function up(dir: string): Promise<Up> {
  const started = new Up(dir);
  running.push(started);
  return started;
}

async function folder(...args: Parameters<typeof folderWith>): Promise<string> {
  const dir = await folderWith(...args);
  folders.push(dir);
  return dir;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.interrupt()));
  await Promise.all(folders.splice(0).map((dir) => fs.rm(dir, { recursive: true, force: true })));
});

const LINE = /^modelserving\/digits {2}(http:\/\/127\.0\.0\.1:\d+)\/v2 {2}grpc 127\.0\.0\.1:\d+$/m;

/** Asks until the answer is the wanted one. */
async function eventually(ask: () => Promise<Answer>, wanted: RegExp): Promise<Answer> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (wanted.test(answer.stdout)) return answer;
    if (performance.now() > deadline) throw new Error(`not ${wanted}: ${answer.stdout}${answer.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe("a folder that is served", () => {
  test("is shown, asked, read about, taken away, and ends with nothing left running", async () => {
    const dir = await folder(digitsYaml);
    const served = await up(dir);
    const base = (await served.printed(LINE))[1];

    const table = await naru("get", "-d", dir);
    expect(table.stdout).toMatch(
      /^NAME +READY +MODEL +REVISION +CANARY +URL +AGE\ndigits +True +[0-9a-f]{8} /,
    );
    expect(table.stdout).toContain(`${base}/v2`);

    const json = JSON.parse((await naru("get", "msv", "digits", "-o", "json", "-d", dir)).stdout);
    expect(json.status.conditions).toContainEqual(expect.objectContaining({ type: "Ready", status: "True" }));

    const answer = await naru("infer", "digits", path.join(heldOut, "digit-5.png"), "-d", dir);
    expect(answer.stdout).toMatch(/^DIGIT +CONFIDENCE\n5 +0\.\d+/);

    // Standard input is a socket here, as for most programs that another one starts.
    const image = await fs.readFile(path.join(heldOut, "digit-5.png"));
    expect((await naruReading(image, "infer", "digits", "-", "-d", dir)).stdout).toBe(answer.stdout);

    const described = await naru("describe", "digits", "-d", dir);
    expect(described.stdout).toMatch(/Conditions:\n {2}TYPE +STATUS/);
    expect(described.stdout).toMatch(
      /Not applied on this machine:\n(.*\n)* {2}networkpolicy\/digits: NetworkPolicy/,
    );

    const logs = await naru("logs", "digits", "-c", "server", "-d", dir);
    expect(logs.stdout).toContain('"program":"inference"');

    const nothing = await naru("promote", "digits", "-d", dir);
    expect(nothing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("has no rollout under way\n  fix: "),
    });

    const pid = JSON.parse((await naru("get", "pods", "-o", "json", "-d", dir)).stdout).items[0].metadata
      .name;
    expect(pid).toMatch(/^digits-/);

    expect((await naru("delete", "digits", "-d", dir)).stdout).toBe("modelserving/digits deleted\n");
    expect((await naru("get", "-d", dir)).stderr).toBe("No resources found in default namespace.\n");

    expect(await served.interrupt()).toBe(0);
    await expect(fetch(`${base}/v2/health/ready`)).rejects.toThrow();
    expect((await naru("get", "-d", dir)).stderr).toMatch(
      /^warning: no naru up runs .*: this is what was last/,
    );
  });

  test("is refused to a second naru up, and says what is there where a name is not", async () => {
    const dir = await folder(digitsYaml);
    const first = await up(dir);
    await first.printed(LINE);
    const second = await up(dir);
    expect(await second.ended()).toBe(1);
    expect(second.output).toMatch(
      /error: naru up runs this folder already, as process \d+\n {2}fix: end it first/,
    );
    const missing = await naru("get", "msv", "nope", "-d", dir);
    expect(missing).toMatchObject({
      code: 1,
      stderr:
        'error: modelservings.naru.dev "nope" not found in namespace "default"\n  fix: there is digits\n',
    });
  });

  test("answers on another port, and says so, where its own is taken", async () => {
    const port = preferredServicePort("digits.default.svc:80");
    const other = createServer();
    // Taken by us or, as well for this test, by somebody else.
    await new Promise<void>((resolve) => {
      other.once("error", () => resolve());
      other.listen(port, "127.0.0.1", resolve);
    });
    try {
      const served = await up(await folder(digitsYaml));
      const base = (await served.printed(LINE))[1];
      expect(served.output).toContain(`warning: port ${port} of service digits is taken by another program`);
      expect(base).not.toBe(`http://127.0.0.1:${port}`);
      expect((await fetch(`${base}/v2/health/live`)).status).toBe(200);
    } finally {
      other.close();
    }
  });
});

describe("a rollout", () => {
  test("can be paused, resumed, promoted; and another taken back and tried again", async () => {
    const canary = `  canary: { steps: [{ weightPercent: 50, holdSeconds: 3600 }] }\n  traffic: { routerReplicas: 1 }\n`;
    const dir = await folder((model) => digitsYaml(model, canary));
    const served = await up(dir);
    await served.printed(LINE);
    await fs.writeFile(path.join(dir, "v2.onnx"), await exampleModel("v2"));
    const v2 = await modelOf(path.join(dir, "v2.onnx"));
    await fs.writeFile(path.join(dir, "digits.yaml"), digitsYaml(v2, canary));

    const status = () => naru("get", "msv/digits", "-o", "yaml", "-d", dir);
    await eventually(status, /phase: Stepping/);
    expect((await naru("get", "-d", dir)).stdout).toMatch(/50% \(1\/1\)/);
    expect((await naru("pause", "digits", "-d", dir)).stdout).toMatch(
      /^modelserving\/digits pause: revision \w+\n$/,
    );
    expect((await status()).stdout).toMatch(/phase: Paused/);
    expect((await naru("resume", "digits", "-d", dir)).code).toBe(0);
    expect((await naru("abort", "digits", "-d", dir)).code).toBe(0);
    await eventually(status, /result: Aborted/);
    await eventually(status, /type: RolloutComplete\n {6}status: "False"/);
    expect((await naru("retry", "digits", "-d", dir)).code).toBe(0);
    await eventually(status, /phase: Stepping/);
    expect((await naru("promote", "digits", "-d", dir)).code).toBe(0);
    await eventually(status, /result: Promoted/);
    const { stdout } = await eventually(status, new RegExp(`modelDigest: ${v2.sha256}`));
    expect(stdout).toContain("result: Promoted");
  });
});

describe("what is wrong is said with what to do about it", () => {
  test("YAML that is none, by file, line and column", async () => {
    const dir = await folder(() => "apiVersion: naru.dev/v1alpha1\nkind: [ModelServing\n");
    const failed = await up(dir);
    expect(await failed.ended()).toBe(1);
    expect(failed.output).toMatch(new RegExp(`${dir}/digits.yaml:[23]:\\d+: `));
    expect(failed.output).toMatch(/error: nothing in .* can be served\n {2}fix: correct what is named above/);
    const checked = await naru("validate", dir);
    expect(checked).toMatchObject({ code: 1, stderr: expect.stringMatching(/digits\.yaml:[23]:\d+: /) });
  });

  test("a field that does not exist and a rule that is broken, each where it stands", async () => {
    const dir = await folder((model) =>
      digitsYaml(model, "  replica: 3\n  ingress: { profile: ALB, keepAliveSeconds: 20 }\n"),
    );
    const { code, stderr } = await naru("validate", dir);
    expect(code).toBe(1);
    expect(stderr).toMatch(/digits\.yaml:10:3: .*replica/);
    expect(stderr).toMatch(
      /digits\.yaml:11:\d+: spec\.ingress\.keepAliveSeconds: ingress: keepAliveSeconds must be longer/,
    );
    expect(stderr).toMatch(/error: 2 mistakes in 1 of 1 files\n {2}fix: /);
  });

  test("one resource in two files of a folder, which naru up would take from the first only", async () => {
    const dir = await folder(digitsYaml);
    await fs.copyFile(path.join(dir, "digits.yaml"), path.join(dir, "more.yaml"));
    const { code, stderr } = await naru("validate", dir);
    expect(code).toBe(1);
    expect(stderr).toMatch(/more\.yaml:1:1: modelserving\/digits is in .*digits\.yaml already/);
  });

  test("an entry of a folder that can't be read, while hidden files and folders are left out as by naru up", async () => {
    const dir = await folder(digitsYaml);
    await fs.mkdir(path.join(dir, "folder.yaml"));
    await fs.writeFile(path.join(dir, ".hidden.yaml"), "a: [");
    expect(await naru("validate", dir)).toMatchObject({ code: 0, stderr: "" });
    await fs.symlink("loop.yaml", path.join(dir, "loop.yaml"));
    const { code, stdout, stderr } = await naru("validate", dir);
    expect(code).toBe(1);
    expect(stdout).toContain("modelserving/digits in ");
    expect(stderr).toMatch(/loop\.yaml:1:1: ELOOP.*\nerror: 1 mistake in 1 of 2 files\n {2}fix: /);
  });

  test("a graph with a cycle, which only a controller sees", async () => {
    const dir = await folder(
      ({ uri, sha256 }) => `apiVersion: naru.dev/v1alpha1
kind: ModelServing
metadata: { name: loop }
spec:
  graph:
    entry: a
    nodes:
      - { name: a, model: { uri: "${uri}", sha256: ${sha256} } }
      - { name: b, model: { uri: "${uri}", sha256: ${sha256} } }
    edges: [{ from: a, to: b }, { from: b, to: a }]
`,
    );
    expect(await naru("validate", dir)).toMatchObject({ code: 1, stderr: expect.stringMatching(/cycle/) });
  });

  test("a folder without resources", async () => {
    const dir = await folder(() => "# nothing yet\n");
    const failed = await up(dir);
    expect(await failed.ended()).toBe(1);
    expect(failed.output).toMatch(/error: there is no ModelServing in .*\n {2}fix: put a YAML file/);
  });

  test("a model whose digest is another", async () => {
    const served = await up(await folder(({ uri }) => digitsYaml({ uri, sha256: "f".repeat(64) })));
    await served.printed(/Ready=False \(DigestMismatch\): .*sha256/);
  });

  test("a model that is not ONNX", async () => {
    const served = await up(await folder(digitsYaml, Buffer.from("this is no model")));
    await served.printed(/Ready=False \(\w*(Model|Onnx|ONNX)\w*\): .*(ONNX|onnx)/);
  });

  test("a command for a folder that nothing runs", async () => {
    const dir = await folder(digitsYaml);
    expect(await naru("get", "-d", dir)).toMatchObject({
      code: 1,
      stderr: `error: naru up never ran ${dir}\n  fix: start it in another terminal: naru up ${dir}\n`,
    });
  });

  test("a folder for temporary files that is not there, or whose path is too long for a socket", async () => {
    const dir = await folder(digitsYaml);
    const long = path.join(dir, "x".repeat(120));
    await fs.mkdir(long);
    const unusable = [path.join(dir, "missing"), long].map((TMPDIR) => ({ cwd: dir, env: { TMPDIR } }));
    for (const without of unusable) {
      expect(await naruWith(without, "get")).toMatchObject({
        code: 1,
        stderr: "error: no naru up runs here\n  fix: start one in another terminal: naru up DIR\n",
      });
    }
    for (const without of unusable) {
      expect(await naruWith(without, "up", dir)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: the folder for temporary files.*\n {2}fix: set TMPDIR/),
      });
    }
  });

  test("an output that takes nothing more is said, and no stack is shown", async (context) => {
    const full = await fs.open("/dev/full", "w").catch(() => undefined);
    if (full === undefined) return context.skip("no /dev/full here");
    try {
      const { code, stderr } = await naruTo(full.fd, "version");
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/^error: what was asked for can't be printed: ENOSPC.*\n$/),
      });
    } finally {
      await full.close();
    }
  });

  test("a command line that makes no sense fails with 2", async () => {
    const lines = [
      ["bogus"],
      ["get", "--bogus"],
      ["up"],
      ["get", "gadgets"],
      ["get", "-o", "xml"],
      ["logs", "digits", "--tail", "many"],
      ["logs", "digits", "--tail", "-5"],
      ["infer", "digits", "x.png", "--url", "digits"],
      ["infer", "digits", "x.png", "--url", "ftp://digits"],
    ];
    const answers = await Promise.all(lines.map((args) => naru(...args)));
    for (const [index, answer] of answers.entries()) {
      expect(answer.code, lines[index]?.join(" ")).toBe(2);
      expect(answer.stderr).toContain("error: ");
    }
  });
});
