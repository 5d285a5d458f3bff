import type { Command } from "commander";
import { refOf } from "../../operator/engine/objects.ts";
import { sourceAnnotation } from "../../operator/standalone/files.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { chooseInstance } from "../instances.ts";
import { shortRef, targetOf, usage } from "../kinds.ts";
import { addTargetOptions } from "../target-options.ts";

export function addDelete(program: Command): void {
  addTargetOptions(
    program
      .command("delete")
      .argument("<kind-or-name>", "name of a ModelServing, KIND/NAME, or a kind that a name follows")
      .argument("[name]")
      .summary("take a resource away with all that was made for it")
      .description(
        "Deletes a resource, drains what serves it and removes all that was made for it. The file that it came from stays; it comes back when the file is edited or naru up starts again.",
      ),
  ).action(async (first: string, second: string | undefined, options: TargetOptions) => {
    const words = second === undefined && !first.includes("/") ? ["modelserving", first] : [first, second];
    const { kind, name } = targetOf(
      words.filter((word) => word !== undefined),
      "modelservings",
    );
    if (name === undefined) throw usage("no name", "write KIND NAME or KIND/NAME");
    const { client } = await chooseInstance(options.dir);
    const object = await findOne(client, kind, options.namespace, name);
    await client.delete(refOf(object));
    console.log(`${shortRef(object)} deleted`);
    const file = object.metadata.annotations?.[sourceAnnotation];
    if (file !== undefined) console.error(`note: ${file} still holds it: remove it there to keep it away`);
  });
}
