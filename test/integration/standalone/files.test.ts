import { rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { eventually } from "../../support/eventually.ts";
import { openRoom, type Room, resource } from "./harness.ts";

let room: Room;
beforeEach(async () => {
  room = await openRoom();
});
afterEach(() => room.dispose());

function get(name: string): KubeObject | undefined {
  return room.standalone.cluster.get({
    apiVersion: "naru.dev/v1alpha1",
    kind: "ModelServing",
    namespace: "default",
    name,
  });
}
const uriOf = (name: string) => (get(name)?.spec as { model: { uri: string } } | undefined)?.model.uri;
const both = `${stringify(resource("a", 1))}---\n${stringify(resource("b", 1))}`;
/** Longer than it takes to notice that something is gone. */
const longerThanGone = 400;

describe("a folder of files", () => {
  test("each document of a file is a resource, with the schema's defaults; leaving the file is its deletion", async () => {
    await room.write("all.yaml", both);
    await eventually("both", () => get("a") && get("b"));
    expect(get("a")?.spec).toMatchObject({ progressDeadlineSeconds: 600 });
    await room.write("all.yaml", resource("a", 1));
    await eventually("b gone", () => get("b") === undefined);
    expect(get("a")).toBeDefined();
    await rm(join(room.dir, "all.yaml"));
    await eventually("a gone", () => get("a") === undefined);
  });

  test("an edit is the next generation of the same object", async () => {
    await room.write("a.yaml", resource("a", 1));
    const before = await eventually("a", () => get("a"));
    await room.write("a.yaml", resource("a", 2));
    await eventually("generation 2", () => get("a")?.metadata.generation === 2);
    expect(get("a")?.metadata.uid).toBe(before.metadata.uid);
  });

  test("a file that an editor takes away and puts back is no deletion, nor is one that moves to another name", async () => {
    await room.write("a.yaml", resource("a", 1));
    const { uid } = (await eventually("a", () => get("a"))).metadata;
    await rename(join(room.dir, "a.yaml"), join(room.dir, "a.yaml~"));
    await delay(60);
    await writeFile(join(room.dir, "a.yaml"), stringify(resource("a", 2)));
    await eventually("generation 2", () => get("a")?.metadata.generation === 2);
    await rename(join(room.dir, "a.yaml"), join(room.dir, "moved.yaml"));
    await delay(longerThanGone);
    expect(get("a")?.metadata.uid).toBe(uid);
    await rm(join(room.dir, "moved.yaml"));
    await eventually("a gone", () => get("a") === undefined);
  });

  test("a file that is written in parts is taken when it is whole; emptied, it keeps what it held", async () => {
    await room.write("all.yaml", both);
    await eventually("both", () => get("a") && get("b"));
    const text = both.replaceAll("models/1.onnx", "models/2.onnx");
    for (let end = 0; end < text.length; end += 60) {
      await writeFile(join(room.dir, "all.yaml"), text.slice(0, end));
      await delay(10);
      expect(get("a") && get("b")).toBeDefined();
    }
    await writeFile(join(room.dir, "all.yaml"), text);
    await eventually("whole", () => uriOf("a")?.endsWith("2.onnx") && uriOf("b")?.endsWith("2.onnx"));
    await writeFile(join(room.dir, "all.yaml"), "");
    await delay(longerThanGone);
    expect(get("a") && get("b")).toBeDefined();
    expect(room.lines.join("\n")).toContain("all.yaml:1:1: the file holds no resource any more");
  });

  test("an entry that can't be looked at is told, and no other file waits for it", async () => {
    await symlink("loop.yaml", join(room.dir, "loop.yaml"));
    await room.write("a.yaml", resource("a", 1));
    await eventually("a", () => get("a"));
    await eventually("told", () => room.lines.some((line) => /loop\.yaml:1:1: ELOOP/.test(line)));
    await unlink(join(room.dir, "loop.yaml"));
    await eventually("mended", () => room.standalone.problems().length === 0);
  });

  test("a mistake is told with file, line and column, and the last good version stays in force", async () => {
    await room.write("a.yaml", resource("a", 1));
    await eventually("a", () => get("a"));
    const file = join(room.dir, "a.yaml");
    const said = (line: string) => eventually(line, () => room.lines.includes(`error ${line}`));
    const head = "apiVersion: naru.dev/v1alpha1\nkind: ModelServing\nmetadata: { name: a }\n";

    await room.write("a.yaml", `${head}spec:\n  model: [\n`);
    await eventually("syntax error told", () => room.lines.some((line) => line.startsWith(`error ${file}:`)));
    await room.write(
      "a.yaml",
      `${head}spec:\n  replica: 2\n  model: { uri: "file:///1.onnx", sha256: "${"1".repeat(64)}" }\n`,
    );
    await said(`${file}:5:3: spec.replica: Unrecognized key: "replica"`);
    await room.write(
      "a.yaml",
      `${head}spec:\n  replicas: many\n  model: { uri: "file:///1.onnx", sha256: "${"1".repeat(64)}" }\n`,
    );
    await said(`${file}:5:3: spec.replicas: Invalid input: expected number, received string`);
    await room.write("a.yaml", "apiVersion: apps/v1\nkind: StatefulSet\n");
    await eventually("unknown kind told", () =>
      room.lines.some((line) => line.includes(`${file}:2:1: kind: naru up does not run apps/v1/StatefulSet`)),
    );
    expect(room.standalone.problems().length).toBe(1);
    expect(get("a")?.metadata.generation).toBe(1);
    await room.write("a.yaml", resource("a", 2));
    await eventually("mended", () => get("a")?.metadata.generation === 2);
    expect(room.standalone.problems()).toEqual([]);
  });

  test("a resource that is in two files belongs to the first; the second is told, and has it once the first is gone", async () => {
    await room.write("one.yaml", resource("a", 1));
    await eventually("a", () => get("a"));
    await room.write("two.yaml", resource("a", 2));
    await eventually("told", () =>
      room.lines.some((line) => line.includes("two.yaml:1:1: ModelServing a is in one.yaml already")),
    );
    expect(get("a")?.metadata.generation).toBe(1);
    await rm(join(room.dir, "one.yaml"));
    await eventually("the second file's", () => uriOf("a")?.endsWith("2.onnx"));
    expect(room.standalone.problems()).toEqual([]);
  });

  test("a file that is renamed and broken in one go keeps what it held until it is repaired or removed", async () => {
    await room.write("a.yaml", resource("a", 1));
    const uid = (await eventually("there", () => get("a"))).metadata.uid;
    await room.write("b.yaml", "kind: [");
    await unlink(join(room.dir, "a.yaml"));
    await eventually("told", () => room.lines.some((line) => /a\.yaml is gone.*b\.yaml/.test(line)));
    expect(get("a")?.metadata.uid).toBe(uid);
    await room.write("b.yaml", resource("a", 2));
    await eventually("taken over", () => get("a")?.metadata.generation === 2);
    expect(get("a")?.metadata.uid).toBe(uid);

    await room.write("c.yaml", "kind: [");
    await unlink(join(room.dir, "b.yaml"));
    await eventually("told again", () => room.lines.some((line) => /b\.yaml is gone.*c\.yaml/.test(line)));
    expect(get("a")?.metadata.uid).toBe(uid);
    await unlink(join(room.dir, "c.yaml"));
    await eventually("deleted", () => get("a") === undefined);
  });

  test("a relative file: URI is meant from where the YAML lies", async () => {
    const object = resource("a", 1);
    object.spec = { model: { uri: "file://./models/v1.onnx", sha256: "1".repeat(64) } };
    await room.write("a.yaml", object);
    await eventually("a", () => get("a"));
    expect(uriOf("a")).toBe(`file://${room.dir}/models/v1.onnx`);
  });
});
