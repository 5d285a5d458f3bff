import type { Container, EnvVar, Volume, VolumeMount } from "kubernetes-types/core/v1.js";
import type { Model } from "../model-source.ts";
import { CONFIG_DIR, MODELS_DIR } from "./runtime-container.ts";
import { RESTRICTED } from "./security.ts";

const TOKEN_DIR = "/var/run/secrets/naru.dev/token";
const CA_DIR = "/etc/naru-ca";
/** AWS' default, and what its SDKs ask for. */
const AUDIENCE = "sts.amazonaws.com";
const TOKEN_SECONDS = 3600;

/** Keys of a credentials Secret, each of which may be absent. */
const SECRET_KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "BEARER_TOKEN"];

/**
 * The init container that brings the models of one source, and the volumes that only it mounts. Credentials are
 * its own: the server that strangers talk to has none.
 */
export function fetchContainer(options: {
  name: string;
  image: string;
  /** The first of the models of one source; they share credentials. */
  model: Model;
  /** Volume with this source's `fetch.json`. */
  configVolume: string;
}): { container: Container; volumes: Volume[] } {
  const { name, image, model, configVolume } = options;
  const credentials = credentialsOf(name, model);
  const authority = authorityOf(name, model);
  return {
    container: {
      name,
      image,
      args: ["fetch"],
      env: [
        { name: "NARU_CONFIG_DIR", value: CONFIG_DIR },
        { name: "NARU_MODELS_DIR", value: MODELS_DIR },
        { name: "NARU_POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        ...credentials.env,
        ...authority.env,
        ...signatureKey(model),
      ],
      volumeMounts: [
        { name: configVolume, mountPath: CONFIG_DIR, readOnly: true },
        { name: "models", mountPath: MODELS_DIR },
        { name: "tmp", mountPath: "/tmp" },
        ...credentials.mounts,
        ...authority.mounts,
      ],
      terminationMessagePolicy: "FallbackToLogsOnError",
      securityContext: RESTRICTED,
    },
    volumes: [...credentials.volumes, ...authority.volumes],
  };
}

interface Parts {
  env: EnvVar[];
  mounts: VolumeMount[];
  volumes: Volume[];
}

function credentialsOf(container: string, model: Model): Parts {
  const { secretRef, webIdentity } = model.credentials ?? {};
  if (secretRef !== undefined) {
    const env = SECRET_KEYS.map((key) => ({
      name: key,
      valueFrom: { secretKeyRef: { name: secretRef.name, key, optional: true } },
    }));
    return { env, mounts: [], volumes: [] };
  }
  if (webIdentity !== undefined) {
    const name = `${container}-token`;
    const serviceAccountToken = {
      path: "token",
      audience: webIdentity.audience ?? AUDIENCE,
      expirationSeconds: TOKEN_SECONDS,
    };
    return {
      env: [
        { name: "AWS_ROLE_ARN", value: webIdentity.roleArn },
        { name: "AWS_WEB_IDENTITY_TOKEN_FILE", value: `${TOKEN_DIR}/token` },
      ],
      mounts: [{ name, mountPath: TOKEN_DIR, readOnly: true }],
      volumes: [{ name, projected: { sources: [{ serviceAccountToken }] } }],
    };
  }
  return { env: [], mounts: [], volumes: [] };
}

function signatureKey({ signature }: Model): EnvVar[] {
  if (signature === undefined) return [];
  const secretKeyRef = { name: signature.publicKeySecret.name, key: "publicKey" };
  return [{ name: "NARU_SIGNATURE_PUBLIC_KEY", valueFrom: { secretKeyRef } }];
}

function authorityOf(container: string, model: Model): Parts {
  const { caBundle } = model;
  if (caBundle === undefined) return { env: [], mounts: [], volumes: [] };
  const name = `${container}-ca`;
  const items = [{ key: caBundle.key ?? "ca.crt", path: "ca.crt" }];
  return {
    env: [{ name: "NARU_CA_FILE", value: `${CA_DIR}/ca.crt` }],
    mounts: [{ name, mountPath: CA_DIR, readOnly: true }],
    volumes: [{ name, configMap: { name: caBundle.configMapName, items } }],
  };
}
