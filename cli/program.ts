import { Command } from "commander";
import { addActions } from "./commands/action.ts";
import { addCompletion } from "./commands/completion.ts";
import { addDelete } from "./commands/delete.ts";
import { addDescribe } from "./commands/describe.ts";
import { addGet } from "./commands/get.ts";
import { addInfer } from "./commands/infer.ts";
import { addLogs } from "./commands/logs.ts";
import { addUp } from "./commands/up.ts";
import { addValidate } from "./commands/validate.ts";
import { addVersion } from "./commands/version.ts";
import { versionText } from "./version.ts";

const commands = [
  addUp,
  addGet,
  addDescribe,
  addDelete,
  addLogs,
  addInfer,
  addValidate,
  addActions,
  addCompletion,
  addVersion,
];

/** `naru`, with one file a command. Errors of use are thrown, so that main decides how the process exits. */
export function buildProgram(): Command {
  const program = new Command("naru")
    .description("Serves AI models with the controllers that run on Kubernetes.")
    .version(versionText(), "--version", "print the version")
    .showHelpAfterError("(naru --help shows what there is)")
    .helpCommand("help [command]", "show how a command is used")
    .exitOverride();
  for (const add of commands) add(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}
