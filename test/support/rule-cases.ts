import type { AdmissionCase } from "./admission-case.ts";

/** Rules that no other case breaks, each by itself. */

const DIGEST = "4b1f".repeat(16);
const uri = "s3://models/digits/2/model.onnx";
const model = { uri, sha256: DIGEST };
const file = { path: "model.onnx", uri, sha256: DIGEST };
const variant = { name: "orin", format: "TensorRTPlan", requires: {} };
const image = "registry.example/triton:24.10";

const refused: readonly [name: string, refused: string, spec: Record<string, unknown>][] = [
  [
    "variants of a model in an image",
    "model: variants are downloaded: remove variants, or use uri or files in place of image",
    {
      model: {
        image: `registry.example/digits@sha256:${DIGEST}`,
        variants: [{ ...variant, uri, sha256: DIGEST }],
      },
    },
  ],
  [
    "a variant with two sources",
    "variant: set exactly one of uri (with sha256) and files",
    { model: { ...model, variants: [{ ...variant, uri, sha256: DIGEST, files: [file] }] } },
  ],
  [
    "a variant without its digest",
    "variant: uri and sha256 go together: give the SHA-256 of the file at uri",
    { model: { ...model, variants: [{ ...variant, uri }] } },
  ],
  [
    "a container that is asked by HTTP without a port for it",
    "container: readiness.httpPath needs httpPort",
    { container: { image, grpcPort: 8001, readiness: { httpPath: "/ready" } } },
  ],
  [
    "a container that is asked by gRPC without a port for it",
    "container: readiness.grpcService needs grpcPort",
    { container: { image, httpPort: 8000, readiness: { grpcService: "inference" } } },
  ],
  [
    "a container that is asked in two ways",
    "readiness: set exactly one of httpPath and grpcService",
    {
      container: {
        image,
        httpPort: 8000,
        grpcPort: 8001,
        readiness: { httpPath: "/ready", grpcService: "inference" },
      },
    },
  ],
  [
    "a step of no kind",
    "step: set exactly one of decodeImage, jsonToTensors, resize, normalize",
    { model, server: { preprocess: [{}] } },
  ],
  [
    "labels from nowhere",
    "labels: set exactly one of values and file",
    { model, server: { postprocess: [{ labels: { input: "indices", output: "digit" } }] } },
  ],
  [
    "a condition on nothing",
    "when: set exactly one of parameter and output",
    {
      graph: {
        entry: "a",
        nodes: [
          { name: "a", model },
          { name: "b", model },
        ],
        edges: [{ from: "a", to: "b", when: { equals: "yes" } }],
      },
    },
  ],
  [
    "a Secret named twice",
    "imagePullSecrets: a Secret is named twice: remove one of the two",
    { model, pod: { imagePullSecrets: [{ name: "mine" }, { name: "mine" }] } },
  ],
  [
    "a variable of two sources",
    "valueFrom: set exactly one of secretKeyRef and configMapKeyRef",
    {
      model,
      pod: {
        env: [
          {
            name: "A",
            valueFrom: {
              secretKeyRef: { name: "mine", key: "a" },
              configMapKeyRef: { name: "mine", key: "a" },
            },
          },
        ],
      },
    },
  ],
];

export const ruleCases: readonly AdmissionCase[] = refused.map(([name, message, spec]) => ({
  name,
  spec,
  refused: message,
}));
