import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import { NaruError } from "../../lib/errors.ts";
import { type KubeObject, refOf } from "../../operator/engine/objects.ts";
import { ACTION_ANNOTATION } from "../../operator/model-serving/rules/actions.ts";
import type { StandaloneClient } from "../../operator/standalone/client.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { chooseInstance } from "../instances.ts";
import { kindNamed } from "../kinds.ts";
import { addTargetOptions } from "../target-options.ts";

const verbs = {
  promote: "make the canary the stable revision now, without waiting for the other steps",
  abort: "take the canary back: the stable revision answers everything again",
  retry: "try a revision again that was taken back",
  pause: "hold the canary at its weight",
  resume: "go on with a canary that was paused",
} as const;

type Verb = keyof typeof verbs;

/** promote, abort, retry, pause and resume: one request to the controller, which names one revision. */
export function addActions(program: Command): void {
  for (const [verb, summary] of Object.entries(verbs)) {
    addTargetOptions(
      program
        .command(verb)
        .argument("<name>", "name of the ModelServing")
        .summary(summary)
        .description(
          `Asks the controller to ${summary}. It acts once, on the revision that is named now, and never on one that comes after.`,
        ),
    ).action(async (name: string, options: TargetOptions) => {
      const { client } = await chooseInstance(options.dir);
      await ask(client, verb as Verb, name.replace(/^(modelservings?|msv)\//, ""), options.namespace);
    });
  }
}

async function ask(client: StandaloneClient, verb: Verb, name: string, namespace: string): Promise<void> {
  const object = await findOne(client, kindNamed("modelserving"), namespace, name);
  const revision = revisionFor(verb, object);
  const text = `${verb} ${revision} ${randomUUID()}`;
  await client.annotate(refOf(object), { [ACTION_ANNOTATION]: text });
  await handled(client, object, text);
  console.log(`modelserving/${name} ${verb}: revision ${revision}`);
}

/**
 * The revision that is meant: the one under way, or, for a retry, the one that was taken back last.
 * @throws NaruError NothingToDo
 */
function revisionFor(verb: Verb, object: KubeObject): string {
  const { canary, lastRollout, failedRevisions = [] } = (object.status ?? {}) as ModelServingStatus;
  const { name } = object.metadata;
  if (verb === "retry") {
    if (lastRollout !== undefined && failedRevisions.includes(lastRollout.revision))
      return lastRollout.revision;
    throw nothing(
      `modelserving/${name} has no revision that was taken back`,
      `naru describe ${name} shows it`,
    );
  }
  if (canary === undefined) {
    throw nothing(
      `modelserving/${name} has no rollout under way`,
      "a rollout begins when spec changes and canary is set",
    );
  }
  if (verb === "resume" && canary.phase !== "Paused") {
    throw nothing(
      `revision ${canary.revision} is not paused: ${canary.phase}`,
      `pause it with naru pause ${name}`,
    );
  }
  return canary.revision;
}

function nothing(message: string, remedy: string): NaruError {
  return new NaruError({ code: "NothingToDo", message, remedy, status: 409 });
}

const HANDLED_MS = 10_000;
const LOOK_MS = 100;

/** Waits until the controller has read it, and tells when it found that there was nothing to do. */
async function handled(client: StandaloneClient, object: KubeObject, text: string): Promise<void> {
  const { name, namespace = "default" } = object.metadata;
  const deadline = performance.now() + HANDLED_MS;
  for (;;) {
    const now = await findOne(client, kindNamed("modelserving"), namespace, name);
    if ((now.status as ModelServingStatus | undefined)?.handledAction === text) break;
    if (performance.now() > deadline) {
      throw new NaruError({
        code: "NotHandled",
        message: `the controller has not acted on it within ${HANDLED_MS / 1000} s`,
        remedy: `it may still: look with naru describe ${name}`,
        status: 504,
      });
    }
    await delay(LOOK_MS);
  }
  const events = await client.list({ apiVersion: "v1", kind: "Event", namespace });
  const ignored = events.find(
    ({ reason, message }) => reason === "ActionIgnored" && String(message).includes(text),
  );
  if (ignored !== undefined)
    throw nothing(String(ignored.message), `naru describe ${name} shows the rollout`);
}
