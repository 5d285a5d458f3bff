import { readSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { messageOf, NaruError } from "../errors.ts";
import { unsupportedElementTypes } from "./element-types.ts";
import { type Field, MalformedFile, ProtobufFile } from "./file-reader.ts";

/**
 * Refuses, before onnxruntime sees it, a file that is not an ONNX model or whose inputs and outputs can't be served,
 * naming the tensor: onnxruntime's own message ("Unsupported data type: 16") does not.
 *
 * @throws NaruError InvalidModel, UnsupportedTensor
 */
export async function checkModelFile(path: string): Promise<void> {
  const head = await readHead(path);
  // onnxruntime's own format: flatbuffers with this identifier.
  if (head.subarray(4, 8).toString("latin1") === "ORTM") return;
  using file = new ProtobufFile(path);
  try {
    checkGraph(path, file);
  } catch (thrown) {
    if (!(thrown instanceof MalformedFile)) throw thrown;
    throw invalidModel(path, `is not an ONNX model: ${thrown.message}${hint(head)}`);
  }
}

async function readHead(path: string): Promise<Buffer> {
  try {
    await using handle = await open(path, "r");
    const head = Buffer.alloc(64);
    const length = readSync(handle.fd, head, 0, head.length, 0);
    return head.subarray(0, length);
  } catch (thrown) {
    throw invalidModel(path, `cannot be read: ${messageOf(thrown)}`);
  }
}

function hint(head: Buffer): string {
  const text = head.toString("latin1");
  if (text.startsWith("version https://git-lfs")) return " (it is a Git LFS pointer; fetch the file itself)";
  if (/^\s*</.test(text)) return " (it is an HTML or XML page; check the address that it came from)";
  return "";
}

function invalidModel(path: string, problem: string): NaruError {
  return new NaruError({
    code: "InvalidModel",
    message: `${path} ${problem}`,
    remedy: "Name a complete .onnx file, exported for onnxruntime, and its digest.",
  });
}

/** ModelProto.graph = 7; GraphProto.input = 11, output = 12. */
function checkGraph(path: string, file: ProtobufFile): void {
  let graphs = 0;
  let outputs = 0;
  for (const field of file.fields(0, statSync(path).size)) {
    if (field.number !== 7 || field.length === 0) continue;
    graphs += 1;
    for (const part of file.fields(field.start, field.start + field.length)) {
      if (part.number === 11) checkValue(path, file, part, "input");
      if (part.number === 12) {
        outputs += 1;
        checkValue(path, file, part, "output");
      }
    }
  }
  if (graphs === 0) throw new MalformedFile("it has no graph");
  if (outputs === 0) throw new MalformedFile("its graph has no output");
}

/**
 * ValueInfoProto.name = 1, type = 2; TypeProto.tensor_type = 1, sequence_type = 4, map_type = 5, sparse_tensor_type = 8,
 * optional_type = 9; TypeProto.Tensor.elem_type = 1.
 */
function checkValue(path: string, file: ProtobufFile, value: Field, role: string): void {
  let name = "";
  for (const field of file.fields(value.start, value.start + value.length)) {
    if (field.number === 1) name = file.text(field);
    if (field.number !== 2) continue;
    for (const kind of file.fields(field.start, field.start + field.length)) {
      if (kind.number === 4 || kind.number === 5 || kind.number === 8 || kind.number === 9) {
        throw new NaruError({
          code: "UnsupportedTensor",
          message: `${path}: ${role} ${JSON.stringify(name)} is not a plain tensor but a sequence, map or optional`,
          remedy: "Export the model with tensors only (for scikit-learn: zipmap off).",
        });
      }
      if (kind.number !== 1) continue;
      for (const part of file.fields(kind.start, kind.start + kind.length)) {
        const type = part.number === 1 ? unsupportedElementTypes.get(part.value) : undefined;
        if (type === undefined) continue;
        throw new NaruError({
          code: "UnsupportedTensor",
          message: `${path}: ${role} ${JSON.stringify(name)} has the type ${type}, which onnxruntime-node cannot carry`,
          remedy:
            "Cast it inside the model, so that inputs and outputs are FP32, FP16 or 8- to 64-bit integers.",
        });
      }
    }
  }
}
