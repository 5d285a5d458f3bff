import { eventually } from "../../support/eventually.ts";
import { deployment, openRoom, service, statusOf } from "./harness.ts";

/** A `naru up` of its own process, for what can only be seen from outside: `up.ts DIR [NAME VALUE]…` as environment. */
const [dir = "", ...pairs] = process.argv.slice(2);
const env = Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string]));
try {
  const room = await openRoom({ dir });
  await room.standalone.cluster.apply(service("web"));
  await room.standalone.cluster.apply(deployment({ name: "web", replicas: 2, env }));
  await eventually("ready", () => statusOf(room, "web").availableReplicas === 2);
  console.log("ready", JSON.stringify(room.standalone.addresses()));
  process.on("SIGINT", () => {
    room.standalone.stop().then(() => process.exit(0));
  });
} catch (error) {
  console.error(error);
  process.exit(1);
}
