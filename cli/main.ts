import { failureOf } from "./failure.ts";
import { buildProgram } from "./program.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // `naru get | head` closes the pipe: that is no failure. A full disk is.
  if (error.code === "EPIPE") process.exit(0);
  console.error(`error: what was asked for can't be printed: ${error.message}`);
  process.exit(1);
});

try {
  await buildProgram().parseAsync(process.argv);
} catch (thrown) {
  const { exitCode, text } = failureOf(thrown);
  if (text !== "") console.error(text);
  process.exitCode = exitCode;
}
