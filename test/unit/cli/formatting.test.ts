import { describe, expect, test } from "vitest";
import { humanDuration } from "../../../cli/duration.ts";
import { formatAnswer } from "../../../cli/infer-answer.ts";
import { readPath } from "../../../cli/json-path.ts";
import { kindNamed, kinds, targetOf } from "../../../cli/kinds.ts";
import { addressLine, localAddressOf } from "../../../cli/local-address.ts";
import { formatObjects, objectTable } from "../../../cli/output.ts";
import { progressLines } from "../../../cli/progress.ts";
import { formatTable } from "../../../cli/table.ts";
import type { Condition, KubeObject } from "../../../operator/engine/objects.ts";

const now = new Date("2026-01-10T00:00:00Z");
const digits: KubeObject = {
  apiVersion: "naru.dev/v1alpha1",
  kind: "ModelServing",
  metadata: {
    name: "digits",
    namespace: "default",
    creationTimestamp: "2026-01-07T00:00:00Z",
    managedFields: [{ manager: "naru-operator" }],
  },
  spec: { replicas: 2 },
  status: {
    conditions: [{ type: "Ready", status: "True", reason: "Serving", message: "" }],
    model: "4b1f09c2",
    revision: "7f3c",
    canarySummary: "50% (2/2)",
    url: "http://digits.default.svc/v2",
    readyReplicas: 2,
  },
};

describe("ages are written as kubectl writes them", () => {
  const second = 1000;
  const minute = 60 * second;
  const hour = 60 * minute;
  const day = 24 * hour;
  test.each([
    [0, "0s"],
    [119 * second, "119s"],
    [2 * minute, "2m"],
    [9 * minute + 5 * second, "9m5s"],
    [90 * minute, "90m"],
    [3 * hour, "3h"],
    [3 * hour + 5 * minute, "3h5m"],
    [47 * hour, "47h"],
    [3 * day + 4 * hour, "3d4h"],
    [100 * day, "100d"],
    [800 * day, "2y70d"],
    [-5 * second, "<invalid>"],
  ])("%d ms is %s", (span, text) => {
    expect(humanDuration(span)).toBe(text);
  });
});

describe("printer columns", () => {
  test("a pod on its way out is Terminating, whatever its phase", () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", deletionTimestamp: "2026-01-10T00:00:00Z" },
      status: { phase: "Running" },
    };
    const table = objectTable([pod], kindNamed("pods"), { wide: false, namespaces: false, now });
    expect(table).toContain("Terminating");
    expect(table).not.toContain("Running");
  });

  test("every path of every known kind can be read", () => {
    for (const kind of kinds) {
      for (const { jsonPath } of kind.columns) expect(() => readPath({}, jsonPath)).not.toThrow();
    }
  });

  test("a filter, an index and an escaped dot are understood, and what is absent is undefined", () => {
    expect(readPath(digits, '.status.conditions[?(@.type=="Ready")].status')).toBe("True");
    expect(readPath(digits, '.status.conditions[?(@.type=="Nope")].status')).toBeUndefined();
    expect(readPath({ a: [{ b: 1 }, { b: 2 }] }, ".a[1].b")).toBe(2);
    expect(readPath({ labels: { "naru.dev/revision": "x" } }, ".labels.naru\\.dev/revision")).toBe("x");
    expect(readPath({}, ".constructor")).toBeUndefined();
  });

  test("a path that columns do not use is refused, not misread", () => {
    expect(() => readPath({}, ".a..b")).toThrow(/is not a path/);
    expect(() => readPath({}, ".a[*]")).toThrow(/is not a path/);
  });

  test("the table is the one of the design", () => {
    const table = objectTable([digits], kindNamed("msv"), { wide: false, namespaces: false, now });
    expect(table.split("\n")).toEqual([
      "NAME     READY   MODEL      REVISION   CANARY      URL                            AGE",
      "digits   True    4b1f09c2   7f3c       50% (2/2)   http://digits.default.svc/v2   3d",
    ]);
  });

  test("-o wide and -A add columns", () => {
    const table = objectTable([digits], kindNamed("msv"), { wide: true, namespaces: true, now });
    expect(table).toMatch(/^NAMESPACE +NAME .* AGE +REPLICAS +REASON\ndefault +digits .* 3d +2 +Serving$/);
  });

  test("no line ends in a space", () => {
    expect(
      formatTable(
        ["a", "b"],
        [
          ["1", ""],
          ["22", "x"],
        ],
      ),
    ).toBe("A    B\n1\n22   x");
  });
});

describe("words that mean a resource", () => {
  test.each([
    [[], "ModelServing", undefined],
    [["msv"], "ModelServing", undefined],
    [["MSV", "digits"], "ModelServing", "digits"],
    [["modelservings/digits"], "ModelServing", "digits"],
    [["po"], "Pod", undefined],
    [["deploy/x"], "Deployment", "x"],
  ])("%j", (words, kind, name) => {
    const target = targetOf(words as string[], "modelservings");
    expect([target.kind.kind, target.name]).toEqual([kind, name]);
  });

  test("what means none says what would", () => {
    expect(() => targetOf(["nope"], "msv")).toThrow('there is no kind "nope"');
    expect(() => targetOf(["msv/a/b"], "msv")).toThrow("names no resource");
    expect(() => targetOf(["msv/a", "b"], "msv")).toThrow("names no resource");
    expect(() => targetOf(["msv", "a", "b"], "msv")).toThrow('unexpected "b"');
  });
});

describe("-o", () => {
  test("one object alone, several in a List, without field managers", () => {
    expect(JSON.parse(formatObjects([digits], "json", true))).toMatchObject({ kind: "ModelServing" });
    expect(JSON.parse(formatObjects([digits], "json", false))).toMatchObject({ kind: "List" });
    expect(formatObjects([digits], "json", true)).not.toContain("managedFields");
    expect(formatObjects([digits], "yaml", true)).toMatch(
      /^apiVersion: naru.dev\/v1alpha1\nkind: ModelServing\n/,
    );
    expect(formatObjects([digits], "name", true)).toBe("modelserving/digits");
  });
});

describe("where a resource answers on this machine", () => {
  const service = { namespace: "default", service: "digits", port: 80 };
  const services = [
    { ...service, portName: "http", localPort: 41001 },
    { ...service, portName: "grpc", localPort: 41002 },
    { ...service, namespace: "other", portName: "http", localPort: 9 },
    { ...service, service: "digits-canary", portName: "http", localPort: 8 },
  ];

  test("is its own Service's, in its own namespace", () => {
    expect(addressLine("digits", localAddressOf(digits, services))).toBe(
      "modelserving/digits  http://127.0.0.1:41001/v2  grpc 127.0.0.1:41002",
    );
  });

  test("leaves out a protocol that it does not speak", () => {
    expect(addressLine("digits", localAddressOf(digits, services.slice(0, 1)))).toBe(
      "modelserving/digits  http://127.0.0.1:41001/v2",
    );
  });
});

describe("progress", () => {
  const condition = (
    type: string,
    status: Condition["status"],
    reason: string,
    message: string,
  ): Condition => ({
    type,
    status,
    reason,
    message,
    lastTransitionTime: "2026-01-01T00:00:00Z",
  });
  const withConditions = (...conditions: Condition[]): KubeObject => ({ ...digits, status: { conditions } });

  test("tells what changed and nothing twice", () => {
    const first = [condition("Ready", "False", "PodsNotReady", "no pod is ready")];
    expect(progressLines(withConditions(...first), [])).toEqual([
      "modelserving/digits  Ready=False (PodsNotReady): no pod is ready",
    ]);
    expect(progressLines(withConditions(...first), first)).toEqual([]);
  });

  test("is silent about what is not wrong, and tells its end", () => {
    const well = condition("Degraded", "False", "AsExpected", "");
    const ill = condition("Degraded", "True", "RolledBack", "revision 7f3c was taken back");
    expect(progressLines(withConditions(well), [])).toEqual([]);
    expect(progressLines(withConditions(ill), [well])).toHaveLength(1);
    expect(progressLines(withConditions(well), [ill])).toEqual([
      "modelserving/digits  Degraded=False (AsExpected)",
    ]);
  });
});

describe("an answer, for a person", () => {
  test("labels and indices stand beside their scores", () => {
    const text = formatAnswer({
      model_name: "digits",
      outputs: [
        { name: "confidence", datatype: "FP32", shape: [1, 2], data: [0.9312345, 0.05] },
        { name: "digit", datatype: "INT64", shape: [1, 2], data: [7, 1] },
      ],
    });
    expect(text).toBe("DIGIT   CONFIDENCE\n7       0.93123\n1       0.05");
  });

  test("any other output is printed with its type, cut where it is long", () => {
    const data = Array.from({ length: 30 }, (_, index) => index);
    const text = formatAnswer({
      model_name: "m",
      outputs: [{ name: "y", datatype: "FP32", shape: [30], data }],
    });
    expect(text).toMatch(/^y FP32 \[30\]: 0, 1, .*19, … 10 more$/);
  });
});
