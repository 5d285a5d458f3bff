import type { Command } from "commander";
import { stringify } from "yaml";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { notAppliedIn } from "../../operator/standalone/supported.ts";
import { humanDuration } from "../duration.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { chooseInstance, warnIfEnded } from "../instances.ts";
import { kinds, shortRef, targetOf, usage } from "../kinds.ts";
import { type LocalAddress, localAddressOf } from "../local-address.ts";
import { conditionsOf } from "../progress.ts";
import { cellOf, formatTable } from "../table.ts";
import { addTargetOptions } from "../target-options.ts";

export function addDescribe(program: Command): void {
  addTargetOptions(
    program
      .command("describe")
      .argument("<kind-or-name>", "name of a ModelServing, KIND/NAME, or a kind that a name follows")
      .argument("[name]")
      .summary("show a resource with all that was made for it, and its events")
      .description(
        "Shows a resource for a person: conditions, the rollout under way, computed values, what was made for it, what this machine does not apply, events.",
      ),
  ).action(async (first: string, second: string | undefined, options: TargetOptions) => {
    const words = second === undefined && !first.includes("/") ? ["modelserving", first] : [first, second];
    const { kind, name } = targetOf(
      words.filter((word) => word !== undefined),
      "modelservings",
    );
    if (name === undefined) throw usage("no name", "write KIND NAME or KIND/NAME");
    const chosen = await chooseInstance(options.dir);
    const { client } = chosen;
    warnIfEnded(chosen);
    const object = await findOne(client, kind, options.namespace, name);
    const all = await client.list();
    const services = client.running ? (await client.info()).services : [];
    console.log(describe(object, all, localAddressOf(object, services), new Date()));
  });
}

/** @param all every object there is; those that the resource owns, and events about any of them, are shown */
export function describe(
  object: KubeObject,
  all: readonly KubeObject[],
  address: LocalAddress,
  now: Date,
): string {
  const { metadata } = object;
  const family = familyOf(object, all);
  const notApplied = family.flatMap((child) =>
    notAppliedIn(child).map((what) => `${shortRef(child)}: ${what}`),
  );
  const { conditions: _, ...status } = (object.status ?? {}) as Record<string, unknown>;
  const sections = [
    fields([
      ["Name", metadata.name],
      ["Namespace", metadata.namespace ?? "default"],
      ["Kind", object.kind],
      ["API version", object.apiVersion],
      ["Created", metadata.creationTimestamp ?? "<unknown>"],
      ["Generation", String(metadata.generation ?? "")],
      ["Address", address.http === undefined ? "" : `${address.http}/v2`],
      ["gRPC address", address.grpc ?? ""],
    ]),
    section("Conditions", conditionTable(object, now)),
    section("Spec", object.spec === undefined ? "" : stringify(object.spec).trimEnd()),
    section("Status", Object.keys(status).length === 0 ? "" : stringify(status).trimEnd()),
    section("Made for it", childTable(family.slice(1), now)),
    section("Not applied on this machine", notApplied.join("\n")),
    section("Events", eventTable(family, all, now)),
  ];
  return sections.filter((text) => text !== "").join("\n");
}

function fields(rows: readonly (readonly [string, string])[]): string {
  return rows
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${`${name}:`.padEnd(14)}${value}`)
    .join("\n");
}

function section(title: string, text: string): string {
  return text === "" ? "" : `${title}:\n${text.replaceAll(/^(?=.)/gm, "  ")}`;
}

function conditionTable(object: KubeObject, now: Date): string {
  const conditions = conditionsOf(object);
  if (conditions.length === 0) return "";
  return formatTable(
    ["Type", "Status", "Since", "Reason", "Message"],
    conditions.map(({ type, status, reason, message, lastTransitionTime }) => [
      type,
      status,
      humanDuration(now.getTime() - Date.parse(lastTransitionTime)),
      reason ?? "",
      message ?? "",
    ]),
  );
}

/** The object, what it owns, and what those own. */
function familyOf(object: KubeObject, all: readonly KubeObject[]): KubeObject[] {
  const family = [object];
  for (const member of family) {
    const { uid } = member.metadata;
    if (uid === undefined) continue;
    family.push(
      ...all.filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid)),
    );
  }
  return family;
}

function childTable(children: readonly KubeObject[], now: Date): string {
  if (children.length === 0) return "";
  return formatTable(
    ["Kind", "Name", "Ready", "Age"],
    children.map((child) => {
      const columns = kinds.find(({ kind }) => kind === child.kind)?.columns ?? [];
      const ready = columns.find(({ name }) => name === "Ready");
      const age = columns.find(({ type }) => type === "date");
      return [
        child.kind,
        child.metadata.name,
        ready === undefined ? "" : cellOf(child, ready, now),
        age === undefined ? "" : cellOf(child, age, now),
      ];
    }),
  );
}

interface EventObject extends KubeObject {
  involvedObject: { kind: string; name: string; namespace: string };
  type: string;
  reason: string;
  message: string;
  count: number;
  lastTimestamp: string;
}

function eventTable(family: readonly KubeObject[], all: readonly KubeObject[], now: Date): string {
  const events = all
    .filter((object): object is EventObject => object.kind === "Event")
    .filter(({ involvedObject: about }) =>
      family.some(
        ({ kind, metadata }) =>
          kind === about.kind && metadata.name === about.name && metadata.namespace === about.namespace,
      ),
    )
    .toSorted((a, b) => a.lastTimestamp.localeCompare(b.lastTimestamp));
  if (events.length === 0) return "";
  return formatTable(
    ["Last seen", "Type", "Reason", "Object", "Message"],
    events.map(({ lastTimestamp, type, reason, involvedObject: about, message, count }) => [
      humanDuration(now.getTime() - Date.parse(lastTimestamp)),
      type,
      reason,
      `${about.kind.toLowerCase()}/${about.name}`,
      count > 1 ? `${message} (${count} times)` : message,
    ]),
  );
}
