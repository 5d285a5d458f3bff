import type { Command } from "commander";

/** Which running `naru up`, and which namespace: the same words in every command. */
export function addTargetOptions(command: Command): Command {
  return command
    .option("-d, --dir <dir>", "folder of the naru up that is meant (default: this one, or the only one)")
    .option("-n, --namespace <namespace>", "namespace", "default");
}
