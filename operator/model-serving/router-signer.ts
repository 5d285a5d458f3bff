import { newPrivateKey, readPrivateKeys } from "../../lib/signing/keys.ts";
import { signatureOf } from "../../lib/signing/signature.ts";

/**
 * The operator's word towards routers. They take a pushed configuration only with it, so that whoever merely reaches
 * a router's admin port can't lead requests elsewhere.
 */
export interface RouterSigner {
  /** Public halves of the keys that it signs with, the newest first; routers are told them. */
  readonly publicKeys: readonly string[];
  /** The signatures on bytes, good for `purpose` alone, as the line that travels with them. */
  sign(purpose: string, bytes: Uint8Array): string;
}

/**
 * Where the private keys are kept: by the operator alone, in no namespace of a user. The text is PEM of one Ed25519 key
 * or of several, the newest first (a change of keys has both for a while).
 */
export interface SigningKeyStore {
  /** Undefined where nothing was ever kept. Throws where it can't be known: then no key is made. */
  read(): Promise<string | undefined>;
  /**
   * Keeps the text if nothing is kept yet, and gives back what is kept then: of operators that start at once, all go
   * by the keys of the first.
   */
  create(pem: string): Promise<string>;
}

/**
 * The signer of this operator, with a new key where none is kept. What is kept is read once: other keys come with
 * the operator's next start.
 *
 * @throws NaruError SigningKeysInvalid; whatever the store throws
 */
export async function openRouterSigner(store: SigningKeyStore): Promise<RouterSigner> {
  const keys = readPrivateKeys((await store.read()) ?? (await store.create(newPrivateKey())));
  return {
    publicKeys: keys.map(({ publicKey }) => publicKey),
    sign: (purpose, bytes) => signatureOf(purpose, bytes, keys),
  };
}
