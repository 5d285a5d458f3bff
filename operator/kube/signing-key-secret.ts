import { NaruError } from "../../lib/errors.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { SigningKeyStore } from "../model-serving/router-signer.ts";
import type { ApiClient, Json } from "./api-client.ts";

/** The operator may read this one Secret by name, and no other. */
export const SIGNING_KEY_SECRET = "naru-router-signing-key";
/** The key within it. */
const FIELD = "keys.pem";

/** The private keys in a Secret of the operator's own namespace. It is made once, and never written again. */
export function signingKeySecret(client: ApiClient, namespace: string): SigningKeyStore {
  const all = `/api/v1/namespaces/${namespace}/secrets`;
  const read = async () => {
    try {
      return keysIn(await client.request("GET", `${all}/${SIGNING_KEY_SECRET}`), namespace);
    } catch (thrown) {
      if (thrown instanceof ClusterError && thrown.code === "NotFound") return undefined;
      throw thrown;
    }
  };
  return {
    read,
    async create(pem) {
      const body = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: {
          name: SIGNING_KEY_SECRET,
          namespace,
          labels: { "app.kubernetes.io/name": "naru", "app.kubernetes.io/managed-by": "naru-operator" },
        },
        stringData: { [FIELD]: pem },
      };
      try {
        await client.request("POST", all, { body });
        return pem;
      } catch (thrown) {
        const kept = thrown instanceof ClusterError && thrown.code === "Conflict" ? await read() : undefined;
        if (kept === undefined) throw thrown;
        return kept;
      }
    },
  };
}

/** Someone may have made the Secret without what is needed: a key of our own would then be kept nowhere. */
function keysIn(secret: Json, namespace: string): string {
  const encoded = (secret.data as Record<string, string> | undefined)?.[FIELD];
  if (encoded !== undefined) return Buffer.from(encoded, "base64").toString("utf8");
  throw new NaruError({
    code: "SigningKeysInvalid",
    message: `the Secret ${namespace}/${SIGNING_KEY_SECRET} has no ${FIELD}`,
    remedy: `keep Ed25519 private keys as PEM there; or delete the Secret: it is made anew with a new key`,
  });
}
