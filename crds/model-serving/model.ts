import { z } from "zod";
import {
  dataKey,
  dnsLabel,
  dnsSubdomain,
  labelValue,
  modelUri,
  pinnedImage,
  quantity,
  relativePath,
  sha256,
} from "../primitives.ts";
import { celExactlyOne, countPresent, withRules } from "../rules.ts";

const file = z
  .strictObject({
    path: relativePath.describe("Where the file goes, relative to the model directory."),
    uri: modelUri.describe("Where the file comes from: https, s3, oci, nats, or file in standalone."),
    sha256: sha256.describe(
      "SHA-256 of the file, 64 lower-case hex digits. It is verified before the file is used.",
    ),
  })
  .describe("One file of a model.");

const files = z
  .array(file)
  .min(1)
  .max(64)
  .describe(
    "The files of a model that has more than one (external data, tokenizer, labels). The first is the model itself; its digest is over the sorted list.",
  );

const secretKey = z.strictObject({
  name: dnsSubdomain.describe("Name of the Secret, in the namespace of this resource."),
});

const credentials = withRules(
  z.strictObject({
    secretRef: secretKey
      .optional()
      .describe(
        "A Secret whose keys become environment of the download alone: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN for s3, BEARER_TOKEN for https.",
      ),
    webIdentity: z
      .strictObject({
        roleArn: z.string().min(1).max(2048).describe("The role to assume."),
        audience: z
          .string()
          .min(1)
          .max(253)
          .optional()
          .describe("Audience of the projected token. Absent: sts.amazonaws.com."),
      })
      .optional()
      .describe("Exchange the pod's service account token for credentials of a role."),
    serviceAccount: z
      .boolean()
      .optional()
      .describe(
        "Use what the platform gives the pod's service account (IRSA, Pod Identity, Workload Identity).",
      ),
  }),
  [
    {
      cel: celExactlyOne(["secretRef", "webIdentity", "serviceAccount"]),
      message: "credentials: set exactly one of secretRef, webIdentity and serviceAccount",
      holds: (value) => countPresent(value, ["secretRef", "webIdentity", "serviceAccount"]) === 1,
    },
  ],
).describe("How the model is read from its source. Absent: without credentials.");

const requirements = z
  .strictObject({
    architecture: z.enum(["amd64", "arm64"]).optional().describe("CPU architecture."),
    gpuArchitecture: z
      .string()
      .max(8)
      .regex(/^[0-9]{1,2}\.[0-9]$/, 'must be a compute capability in quotes, such as "8.7"')
      .optional()
      .describe(
        'CUDA compute capability (SM), such as "8.7". A TensorRT engine runs only on the one it was built for.',
      ),
    tensorRT: labelValue
      .optional()
      .describe('TensorRT version, such as "10.3". An engine runs only on the version it was built with.'),
    jetPack: labelValue.optional().describe('JetPack version, such as "6.2".'),
  })
  .describe("What a machine must have for this variant. Every field given must match.");

const variant = withRules(
  z.strictObject({
    name: dnsLabel.describe("Name of the variant, unique in the list."),
    format: z.enum(["ONNX", "TensorRTPlan"]).describe("Format of the file."),
    uri: modelUri.optional().describe("Where the file comes from; `files` is the long form."),
    sha256: sha256.optional().describe("SHA-256 of the file at `uri`."),
    files: files.optional(),
    requires: requirements,
  }),
  [
    {
      cel: celExactlyOne(["uri", "files"]),
      message: "variant: set exactly one of uri (with sha256) and files",
      holds: (value) => countPresent(value, ["uri", "files"]) === 1,
    },
    {
      cel: "has(self.uri) == has(self.sha256)",
      message: "variant: uri and sha256 go together: give the SHA-256 of the file at uri",
      holds: (value) => (value.uri === undefined) === (value.sha256 === undefined),
    },
  ],
);

const cache = z
  .strictObject({
    persistentVolumeClaim: dnsSubdomain
      .optional()
      .describe(
        "A claim in this namespace that keeps downloaded models, so that a new pod starts while the source is away. Absent: an emptyDir, filled for each pod.",
      ),
    sizeLimit: quantity.optional().describe("Room for cached models; the least recently used leave first."),
  })
  .describe("Where downloaded models are kept.");

/**
 * Exactly one source: `uri`, `files` or `image`. No field has a default, since a model is also part of a graph's
 * nodes, and a default inside a list item is a diff that never settles.
 */
export const model = withRules(
  z.strictObject({
    uri: modelUri
      .optional()
      .describe(
        "Where the model file comes from: https, s3, oci, nats, or file in standalone. Goes with `sha256`.",
      ),
    sha256: sha256.optional().describe("SHA-256 of the file at `uri`, 64 lower-case hex digits."),
    files: files.optional(),
    image: pinnedImage
      .optional()
      .describe(
        "A serving image, built on Naru's runtime and pinned by digest, that holds the model: no source is needed when a pod starts.",
      ),
    path: relativePath
      .optional()
      .describe("The model file inside `image`, relative to /models. Absent: model.onnx."),
    format: z.enum(["ONNX"]).optional().describe("Format of the model. Absent: ONNX, the only one so far."),
    credentials: credentials.optional(),
    caBundle: z
      .strictObject({
        configMapName: dnsSubdomain.describe("Name of the ConfigMap."),
        key: dataKey.optional().describe("Key that holds PEM certificates. Absent: ca.crt."),
      })
      .optional()
      .describe("Certificates that the model's source is verified with, beside the usual ones."),
    s3: z
      .strictObject({
        endpoint: z
          .string()
          .max(2048)
          .regex(/^https?:\/\/\S+$/, "must begin with https:// or http://")
          .optional()
          .describe("Address of an S3-compatible server."),
        region: z.string().min(1).max(64).optional().describe("Region that requests are signed for."),
        pathStyle: z
          .boolean()
          .optional()
          .describe("Put the bucket in the path, as most S3-compatible servers ask."),
      })
      .optional()
      .describe("Settings of an S3-compatible source."),
    signature: z
      .strictObject({
        publicKeySecret: secretKey.describe("Secret with the Ed25519 public key under `publicKey`."),
        uri: modelUri.describe("Where the detached signature over the digest comes from."),
      })
      .optional()
      .describe("Refuse a model that is not signed with this key."),
    variants: z
      .array(variant)
      .max(16)
      .optional()
      .describe("Builds for particular hardware, tried in order; `uri` or `files` is what remains."),
    cache: cache.optional(),
  }),
  [
    {
      cel: celExactlyOne(["uri", "files", "image"]),
      message: "model: set exactly one of uri, files and image",
      holds: (value) => countPresent(value, ["uri", "files", "image"]) === 1,
    },
    {
      cel: "has(self.uri) == has(self.sha256)",
      message: "model: uri and sha256 go together: give the SHA-256 of the file at uri",
      holds: (value) => (value.uri === undefined) === (value.sha256 === undefined),
    },
    {
      cel: "!has(self.path) || has(self.image)",
      message: "model: path belongs to image: remove path, or set image",
      holds: (value) => value.path === undefined || value.image !== undefined,
    },
    {
      cel: "!has(self.signature) || !has(self.image)",
      message: "model: signature is of what is downloaded: remove it, and verify the image at admission",
      holds: (value) => value.signature === undefined || value.image === undefined,
    },
    {
      cel: "!has(self.variants) || !has(self.image)",
      message: "model: variants are downloaded: remove variants, or use uri or files in place of image",
      holds: (value) => value.variants === undefined || value.image === undefined,
    },
  ],
);
