import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { KubeObject } from "../../operator/engine/objects.ts";
import type { StandaloneClient } from "../../operator/standalone/client.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { chooseInstance, warnIfEnded } from "../instances.ts";
import { type KnownKind, targetOf } from "../kinds.ts";
import { localAddressOf } from "../local-address.ts";
import { formatObjects, type Output, objectTable, outputOf } from "../output.ts";
import { addTargetOptions } from "../target-options.ts";

interface GetOptions extends TargetOptions {
  readonly output?: string;
  readonly watch?: boolean;
  readonly allNamespaces?: boolean;
}

export function addGet(program: Command): void {
  addTargetOptions(
    program
      .command("get")
      .argument("[kind]", "modelservings (the default), pods, deployments, services, events, …")
      .argument("[name]", "one of them; KIND/NAME is the same")
      .option("-o, --output <format>", "json, yaml, wide or name")
      .option("-w, --watch", "go on, and print what changes")
      .option("-A, --all-namespaces", "of every namespace")
      .summary("list resources, or show one")
      .description("Lists resources as kubectl does, with the columns of their definition."),
  ).action(async (kind: string | undefined, name: string | undefined, options: GetOptions) => {
    await get(
      [kind, name].filter((word) => word !== undefined),
      options,
    );
  });
}

async function get(words: readonly string[], options: GetOptions): Promise<void> {
  const { kind, name } = targetOf(words, "modelservings");
  const output = options.output === undefined ? undefined : outputOf(options.output);
  const chosen = await chooseInstance(options.dir);
  const { client } = chosen;
  warnIfEnded(chosen);
  const read = async () => await select(client, kind, name, options);
  const first = await read();
  if (first.length === 0 && output === undefined && options.watch !== true) {
    console.error(
      options.allNamespaces === true
        ? "No resources found"
        : `No resources found in ${options.namespace} namespace.`,
    );
    return;
  }
  const format = { kind, output, single: name !== undefined, namespaces: options.allNamespaces === true };
  if (options.watch !== true) {
    console.log(await formatted(client, first, format));
    return;
  }
  await follow(client, first, read, format);
}

async function select(
  client: StandaloneClient,
  kind: KnownKind,
  name: string | undefined,
  { namespace, allNamespaces }: GetOptions,
): Promise<readonly KubeObject[]> {
  if (name !== undefined) return [await findOne(client, kind, namespace, name)];
  const objects = await client.list({
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    ...(allNamespaces === true ? {} : { namespace }),
  });
  const order = ({ metadata }: KubeObject) => `${metadata.namespace}/${metadata.name}`;
  return objects.toSorted((a, b) => order(a).localeCompare(order(b)));
}

interface Format {
  readonly kind: KnownKind;
  readonly output: Output | undefined;
  readonly single: boolean;
  readonly namespaces: boolean;
}

async function formatted(
  client: StandaloneClient,
  objects: readonly KubeObject[],
  { kind, output, single, namespaces }: Format,
): Promise<string> {
  if (output !== undefined && output !== "wide") return formatObjects(objects, output, single);
  const rows = await withLocalAddresses(client, objects);
  return objectTable(rows, kind, { wide: output === "wide", namespaces, now: new Date() });
}

/** The URL column leads to where a resource answers on this machine; `-o yaml` shows status as it is. */
async function withLocalAddresses(
  client: StandaloneClient,
  objects: readonly KubeObject[],
): Promise<readonly KubeObject[]> {
  if (!client.running) return objects;
  const { services } = await client.info();
  return objects.map((object) => {
    const status = object.status as { url?: string } | undefined;
    const { http } = localAddressOf(object, services);
    return status?.url === undefined || http === undefined
      ? object
      : { ...object, status: { ...status, url: `${http}/v2` } };
  });
}

const FOLLOW_MS = 500;

/** Prints the rows of what has changed, until it is interrupted or what is asked ends. */
async function follow(
  client: StandaloneClient,
  first: readonly KubeObject[],
  read: () => Promise<readonly KubeObject[]>,
  format: Format,
): Promise<void> {
  const versions = new Map<string, string | undefined>();
  let head = true;
  for (let objects = first; ; objects = await read()) {
    const changed = objects.filter(({ metadata }) => {
      const key = `${metadata.namespace}/${metadata.name}`;
      const same = versions.has(key) && versions.get(key) === metadata.resourceVersion;
      versions.set(key, metadata.resourceVersion);
      return !same;
    });
    if (changed.length > 0 || head) {
      const text = await formatted(client, changed, format);
      const table = format.output === undefined || format.output === "wide";
      console.log(head || !table ? text : text.slice(text.indexOf("\n") + 1));
      head = false;
    }
    await delay(FOLLOW_MS);
  }
}
