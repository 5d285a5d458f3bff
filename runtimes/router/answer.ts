import type { ServerResponse } from "node:http";
import { errorAnswer } from "../../lib/http/error-answer.ts";
import { REQUEST_ID_HEADER } from "../../lib/telemetry/logger.ts";

/** Answers what the router itself could not or would not forward, in V2's error form. */
export function answerError(
  response: ServerResponse,
  thrown: unknown,
  headers: Record<string, string>,
): number {
  const answer = errorAnswer(thrown);
  answerJson(response, answer.status, answer.body, { ...answer.headers, ...headers });
  return answer.status;
}

export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    ...headers,
    "content-type": "application/json",
    "content-length": bytes.length,
  });
  response.end(bytes);
}

export function idHeader(requestId: string): Record<string, string> {
  return { [REQUEST_ID_HEADER]: requestId };
}
