import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { deadlineExceeded } from "../../../lib/http/deadline.ts";
import { errorAnswer } from "../../../lib/http/error-answer.ts";

test("an error thrown on purpose is answered with its own status and message", () => {
  expect(errorAnswer(deadlineExceeded())).toEqual({
    status: 504,
    headers: { "naru-error-code": "DeadlineExceeded" },
    body: { error: "the request's deadline passed before its answer was there" },
  });
});

test("a refusal for want of room says when to come back", () => {
  const full = new NaruError({ code: "QueueFull", message: "full", remedy: "Wait.", status: 503 });
  expect(errorAnswer(full).headers).toMatchObject({ "retry-after": "1" });
});

test("what fastify found wrong with the request keeps its status", () => {
  const tooLarge = Object.assign(new Error("Request body is too large"), { statusCode: 413 });
  expect(errorAnswer(tooLarge)).toMatchObject({ status: 413, body: { error: "Request body is too large" } });
});

test("a fault of ours tells the client nothing of itself", () => {
  for (const thrown of [
    new Error("secret path"),
    Object.assign(new Error("x"), { statusCode: 502 }),
    "text",
    null,
  ]) {
    expect(errorAnswer(thrown)).toEqual({ status: 500, headers: {}, body: { error: "internal error" } });
  }
});
