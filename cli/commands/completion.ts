import type { Command } from "commander";
import { completionScript, SHELLS, type Shell } from "../completion-script.ts";
import { usage } from "../kinds.ts";

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .argument("<shell>", SHELLS.join(", "))
    .summary("print a completion script")
    .description(
      "Prints a script for a shell. bash: source <(naru completion bash). zsh: save it as _naru in a folder of fpath. fish: naru completion fish | source.",
    )
    .action((shell: string) => {
      const known = SHELLS.find((each) => each === shell);
      if (known === undefined) throw usage(`no completion for "${shell}"`, `use one of ${SHELLS.join(", ")}`);
      console.log(completionScript(known satisfies Shell, program));
    });
}
