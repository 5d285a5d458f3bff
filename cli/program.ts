import { Command } from "commander";
import { addUp } from "./commands/up.ts";

/** `naru`, with one file a command. Errors of use are thrown, so that main decides how the process exits. */
export function buildProgram(): Command {
  const program = new Command("naru")
    .description("Serves AI models with the controllers that run on Kubernetes.")
    .showHelpAfterError("(naru --help shows what there is)")
    .helpCommand("help [command]", "show how a command is used")
    .exitOverride();
  for (const add of [addUp]) add(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}
