import { writeFileSync } from "node:fs";
import { messageOf, NaruError } from "../errors.ts";

/** Kubernetes keeps no more of a termination message. */
const MAX_BYTES = 4096;

/** The last word of a program that could not go on, as one line of JSON; the operator puts it into status. */
export interface Termination {
  code: string;
  message: string;
  remedy: string;
}

export function terminationOf(thrown: unknown): Termination {
  if (thrown instanceof NaruError) {
    return { code: thrown.code, message: thrown.message, remedy: thrown.remedy };
  }
  return {
    code: "InternalError",
    message: messageOf(thrown),
    remedy: "Look at the container's log, and report it if it is a fault of Naru.",
  };
}

/** At most 4 KiB of UTF-8, since half a JSON document is none. */
export function terminationLine(termination: Termination): string {
  let { message, remedy } = termination;
  for (;;) {
    const line = JSON.stringify({ code: termination.code, message, remedy });
    if (Buffer.byteLength(line) <= MAX_BYTES) return line;
    if (message.length >= remedy.length) message = shortened(message);
    else remedy = shortened(remedy);
  }
}

function shortened(text: string): string {
  return `${text.slice(0, Math.floor(text.length * 0.75) - 1).toWellFormed()}…`;
}

/**
 * Writes the termination message where the kubelet, or standalone, reads it. Outside a container there may be no such file:
 * that is told to `onProblem` and nothing else, since the program is ending of something worse.
 */
export function writeTermination(
  thrown: unknown,
  path: string = process.env.NARU_TERMINATION_LOG ?? "/dev/termination-log",
  onProblem: (message: string) => void = () => undefined,
): void {
  try {
    writeFileSync(path, terminationLine(terminationOf(thrown)));
  } catch (problem) {
    onProblem(messageOf(problem));
  }
}
