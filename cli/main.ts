import { failureOf } from "./failure.ts";
import { buildProgram } from "./program.ts";

// `naru get | head` closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await buildProgram().parseAsync(process.argv);
} catch (thrown) {
  const { exitCode, text } = failureOf(thrown);
  if (text !== "") console.error(text);
  process.exitCode = exitCode;
}
