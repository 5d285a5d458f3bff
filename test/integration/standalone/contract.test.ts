import { rm } from "node:fs/promises";
import { join } from "node:path";
import { refOf } from "../../../operator/engine/objects.ts";
import { clusterContract } from "../../contract/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { openRoom, resource } from "./harness.ts";

clusterContract("standalone", async () => {
  const room = await openRoom();
  const { cluster } = room.standalone;
  return {
    cluster,
    namespace: "default",
    resource,
    put: async (object) => {
      const before = cluster.get(refOf(object))?.metadata.resourceVersion;
      await room.write(`${object.metadata.name}.yaml`, object);
      await eventually("the file taken", () => {
        const now = cluster.get(refOf(object));
        return now !== undefined && now.metadata.resourceVersion !== before;
      });
    },
    remove: async (ref) => {
      await rm(join(room.dir, `${ref.name}.yaml`));
      await eventually("the resource gone", () => cluster.get(ref) === undefined);
    },
    stop: () => room.dispose(),
  };
});
