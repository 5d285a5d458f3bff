import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { createLogger, requestIdOf } from "../../../lib/telemetry/logger.ts";
import { Metrics } from "../../../lib/telemetry/metrics.ts";

function capture() {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  return { lines, log: createLogger("router", { level: "info", destination }) };
}

test("a line has level, time, program and message", () => {
  const { lines, log } = capture();
  log.info({ port: 8080 }, "listens");
  log.debug("not wanted");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ level: "info", program: "router", port: 8080, msg: "listens" });
  expect(lines[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
});

test("an error is logged by code, message and remedy, never by properties that may hold a body", () => {
  const { lines, log } = capture();
  const cause = Object.assign(new Error("refused"), { body: "payload" });
  log.error({ err: new NaruError({ code: "X", message: "m", remedy: "r", cause }) });
  log.error({ err: Object.assign(new Error("plain"), { requestBody: "payload" }) });
  expect(lines[0]?.err).toEqual({ code: "X", message: "m", remedy: "r", cause: "refused" });
  expect(lines[1]?.err).toMatchObject({ type: "Error", message: "plain" });
  expect(JSON.stringify(lines)).not.toContain("payload");
});

test("a request keeps the id that it came with, unless it is no id", () => {
  expect(requestIdOf({ "x-request-id": "7f3c-1.a" })).toBe("7f3c-1.a");
  for (const wrong of ["", "a b", 'a"b', "a\nb", "x".repeat(129)]) {
    expect(requestIdOf({ "x-request-id": wrong })).toMatch(/^[0-9a-f-]{36}$/);
  }
  expect(requestIdOf({})).not.toBe(requestIdOf({}));
});

test("metrics are exposed as Prometheus reads them, apart for each registry", async () => {
  const metrics = new Metrics();
  metrics.counter("naru_requests_total", "Requests.", ["model"]).inc({ model: "digits" }, 2);
  metrics.gauge("naru_queue", "Waiting.", [], (gauge) => gauge.set(3));
  metrics.histogram("naru_batch", "Rows.", [1, 2]).observe(2);
  const { contentType, body } = await metrics.expose();
  expect(contentType).toContain("text/plain");
  expect(body).toContain('naru_requests_total{model="digits"} 2');
  expect(body).toContain("naru_queue 3");
  expect(body).toContain('naru_batch_bucket{le="2"} 1');
  expect((await new Metrics().expose()).body).not.toContain("naru_");
});
