import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  PUSH_PURPOSE,
  type RouterOwner,
  type RouterTrust,
  routerPush,
  routerTrust,
  SIGNATURE_HEADER,
} from "../../lib/config/router-push.ts";
import { NaruError } from "../../lib/errors.ts";
import { keyIdOf } from "../../lib/signing/keys.ts";
import { type Verdict, verdictOn } from "../../lib/signing/signature.ts";

const FILE = "trust.json";

/**
 * Opens a push: whoever reaches the admin port may send one, and only the operator's, for this ModelServing, counts.
 * Nothing of the body is read before its signature is verified.
 *
 * `trust.json` is read for each push, as it is mounted then: pushes are rare, and a key that was taken out of it must not
 * live on in a cache. Without the file no push is taken, and the mounted configuration is the only one.
 *
 * @param signature the header SIGNATURE_HEADER
 * @returns the configuration, as it came: what is in it is checked by the caller
 * @throws NaruError PushUnsigned (401), PushesNotTaken, PushKeyUntrusted, PushSignatureInvalid, PushForOther (403),
 *   InvalidConfig (400)
 */
export async function openPush(
  configDir: string,
  body: Uint8Array,
  signature: string | undefined,
): Promise<unknown> {
  const trust = await readTrust(configDir);
  const verdict = verdictOn(PUSH_PURPOSE, body, signature, trust.publicKeys);
  if (verdict !== "valid") throw refusal(verdict, trust);
  const push = routerPush.safeParse(parseJson(body)).data;
  if (push === undefined) throw otherRelease();
  if (!isSame(push.owner, trust.owner)) throw forOther(push.owner, trust.owner);
  return push.config;
}

/** Before a body is taken in: what has no signature at all needs none. */
export function refuseUnsigned(signature: unknown): void {
  if (typeof signature !== "string" || signature === "") throw unsigned();
}

async function readTrust(configDir: string): Promise<RouterTrust> {
  try {
    return routerTrust.parse(JSON.parse(await readFile(join(configDir, FILE), "utf8")));
  } catch (cause) {
    throw new NaruError({
      code: "PushesNotTaken",
      message: `${FILE} names no key whose configurations are taken`,
      remedy: `the operator writes ${FILE} into the router's ConfigMap; until it is mounted, router.json is followed`,
      status: 403,
      cause,
    });
  }
}

function isSame(one: RouterOwner, other: RouterOwner): boolean {
  return one.namespace === other.namespace && one.name === other.name && one.uid === other.uid;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    // No JSON fails the schema like any other shape.
    return undefined;
  }
}

function refusal(verdict: Exclude<Verdict, "valid">, trust: RouterTrust): NaruError {
  if (verdict === "malformed") return unsigned();
  if (verdict === "untrusted") {
    const known = trust.publicKeys.map(keyIdOf).join(", ");
    return new NaruError({
      code: "PushKeyUntrusted",
      message: `the configuration is signed by no key that is trusted here (${known})`,
      remedy:
        "after a change of the operator's keys, wait two minutes until the router's ConfigMap has reached it",
      status: 403,
    });
  }
  return new NaruError({
    code: "PushSignatureInvalid",
    message: "the configuration is not what the key that it names has signed",
    remedy: "look for what changes requests between the operator and the router, or for who sends them",
    status: 403,
  });
}

function unsigned(): NaruError {
  return new NaruError({
    code: "PushUnsigned",
    message: `a configuration needs the operator's signature (${SIGNATURE_HEADER})`,
    remedy: "change the ModelServing: the operator tells its routers",
    status: 401,
  });
}

function forOther(given: RouterOwner, own: RouterOwner): NaruError {
  const same = given.namespace === own.namespace && given.name === own.name;
  return new NaruError({
    code: "PushForOther",
    message: `the configuration is for ${same ? "a former " : ""}ModelServing ${given.namespace}/${given.name}, and this router is of ${own.namespace}/${own.name}`,
    remedy: "look for who sends it: the operator does not",
    status: 403,
  });
}

function otherRelease(): NaruError {
  return new NaruError({
    code: "InvalidConfig",
    message: "router configuration: the signed push has another form",
    remedy: "the operator writes it: check that it and the runtime image are of one release",
    status: 400,
  });
}
