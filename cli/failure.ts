import { CommanderError } from "commander";
import { messageOf, NaruError } from "../lib/errors.ts";
import { ClusterError } from "../operator/engine/cluster.ts";

/** 0: done. 1: it failed. 2: the command line makes no sense. */
export interface Failure {
  readonly exitCode: number;
  readonly text: string;
}

const remedies: Partial<Record<string, string>> = {
  NotFound: "naru get shows what is there",
  Conflict: "it changed meanwhile: try again",
  Unavailable: "naru up may be stopping: look at its terminal",
};

/** What is printed of whatever a command threw, and how it exits. Commander has printed its own errors already. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof CommanderError) {
    return { exitCode: thrown.exitCode === 0 ? 0 : 2, text: "" };
  }
  if (thrown instanceof NaruError) {
    return {
      exitCode: thrown.code === "Usage" || thrown.code === "UnknownKind" ? 2 : 1,
      text: `error: ${thrown.message}\n  fix: ${thrown.remedy}`,
    };
  }
  const remedy = thrown instanceof ClusterError ? remedies[thrown.code] : undefined;
  return {
    exitCode: 1,
    text: `error: ${messageOf(thrown)}${remedy === undefined ? "" : `\n  fix: ${remedy}`}`,
  };
}
