import { NaruError } from "../lib/errors.ts";

/** A model as `GET /v2/models/NAME` describes it. */
export interface ModelMetadata {
  readonly name: string;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
}

export interface HttpRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
const JPEG = Buffer.from([0xff, 0xd8, 0xff]);

/**
 * The V2 request that a file means: an image becomes the model's only BYTES input, by the binary tensor extension;
 * anything else must be a V2 request in JSON.
 * @throws NaruError NotAnImageModel, InvalidFile
 */
export function requestOf(file: Buffer, name: string, metadata: ModelMetadata): HttpRequest {
  if (file.subarray(0, 4).equals(PNG) || file.subarray(0, 3).equals(JPEG))
    return imageRequest(file, metadata);
  return { headers: { "content-type": "application/json" }, body: checkedJson(file, name, metadata) };
}

function imageRequest(image: Buffer, metadata: ModelMetadata): HttpRequest {
  const [input, ...others] = metadata.inputs;
  if (input === undefined || others.length > 0 || input.datatype !== "BYTES") {
    throw new NaruError({
      code: "NotAnImageModel",
      message: `model "${metadata.name}" takes ${inputsText(metadata)}, not an image`,
      remedy: "give server.preprocess a decodeImage step, or send a V2 request in JSON",
      status: 400,
    });
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(image.length);
  const tensor = Buffer.concat([length, image]);
  const shape = input.shape.map((dimension) => (dimension < 0 ? 1 : dimension));
  const header = Buffer.from(
    JSON.stringify({
      inputs: [
        { name: input.name, datatype: "BYTES", shape, parameters: { binary_data_size: tensor.length } },
      ],
    }),
  );
  return {
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(header.length),
    },
    body: Buffer.concat([header, tensor]),
  };
}

function checkedJson(file: Buffer, name: string, metadata: ModelMetadata): Buffer {
  const problem = jsonProblem(file.toString());
  if (problem === undefined) return file;
  throw new NaruError({
    code: "InvalidFile",
    message: `${name} is no PNG, no JPEG, and ${problem}`,
    remedy: `write {"inputs": [{"name", "shape", "datatype", "data"}]}; model "${metadata.name}" takes ${inputsText(metadata)}`,
    status: 400,
  });
}

function jsonProblem(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const inputs =
      typeof value === "object" && value !== null && "inputs" in value ? value.inputs : undefined;
    return Array.isArray(inputs) ? undefined : "no V2 request: it has no list of inputs";
  } catch (error) {
    return `no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function inputsText({ inputs }: ModelMetadata): string {
  return inputs.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(", ")}]`).join(", ");
}
