import { createHash } from "node:crypto";
import type { ModelServingSpec } from "../../crds/model-serving.ts";

export type Model = NonNullable<ModelServingSpec["model"]>;
export type Container = NonNullable<ModelServingSpec["container"]>;
export type Graph = NonNullable<ModelServingSpec["graph"]>;
export type GraphNode = Graph["nodes"][number];

/** A file of a model, by the path that its author gave it. */
export interface ModelFile {
  readonly path: string;
  readonly uri: string;
  readonly sha256: string;
}

/** The files to download; none for a model that its image holds. The first is the model itself. */
export function filesOf(model: Model): readonly ModelFile[] {
  if (model.files !== undefined) return model.files;
  if (model.uri === undefined || model.sha256 === undefined) return [];
  return [{ path: "model.onnx", uri: model.uri, sha256: model.sha256 }];
}

/**
 * 64 hex digits that name the model's content. One file: its own. Several: SHA-256 over one line a file,
 * `SHA256  PATH`, sorted by path, which is what `sha256sum` prints. Baked into an image: the image's.
 */
export function modelDigest(model: Model): string {
  if (model.image !== undefined) return digestOfImage(model.image) ?? "";
  const files = filesOf(model);
  const [only] = files;
  if (files.length === 1 && only !== undefined) return only.sha256;
  const lines = [...files]
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .map((file) => `${file.sha256}  ${file.path}\n`);
  return sha256(lines.join(""));
}

function digestOfImage(image: string): string | undefined {
  return /@sha256:([0-9a-f]{64})$/.exec(image)?.[1];
}

/** Digest of everything that a revision serves; undefined where an image is not pinned by one. */
export function servedDigest(source: {
  readonly model?: Model | undefined;
  readonly container?: Container | undefined;
  readonly graph?: Graph | undefined;
}): string | undefined {
  if (source.model !== undefined) return modelDigest(source.model);
  if (source.container !== undefined) return digestOfImage(source.container.image);
  const nodes = (source.graph?.nodes ?? []).flatMap((node) => {
    if (node.model !== undefined) return [`${modelDigest(node.model)}  ${node.name}\n`];
    if (node.container !== undefined) return [`${node.container.image}  ${node.name}\n`];
    return [];
  });
  return nodes.length === 0 ? undefined : sha256(nodes.sort().join(""));
}

/**
 * Directory of a model under NARU_MODELS_DIR. It bears the digest, so that revisions that share a cache do not
 * overwrite each other's files.
 */
export function modelDirectory(model: Model): string {
  return modelDigest(model).slice(0, 16);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
