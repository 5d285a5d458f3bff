import { parseDatatype } from "./datatypes.ts";
import { invalid } from "./invalid.ts";
import {
  type JsonObject,
  parseObject,
  readList,
  readName,
  readOptionalString,
  readShape,
} from "./json-body.ts";
import type { TensorMetadata } from "./types.ts";

/** What `GET /v2/models/NAME` answers, as far as a caller needs it. */
export interface DecodedModelMetadata {
  readonly name: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** Throws NaruError 400 where the body is not a V2 model's metadata. */
export function decodeModelMetadata(body: Uint8Array | string): DecodedModelMetadata {
  const json = parseObject(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
  const name = readOptionalString(json, "name");
  if (name === undefined) {
    throw invalid("InvalidResponse", 'the metadata has no "name"', "check that the address is a V2 server's");
  }
  return { name, inputs: readTensors(json, "inputs"), outputs: readTensors(json, "outputs") };
}

function readTensors(json: JsonObject, list: "inputs" | "outputs"): readonly TensorMetadata[] {
  return readList(json, list).map((entry) => {
    const name = readName(entry, list);
    return { name, datatype: parseDatatype(entry.datatype, name), shape: readShape(entry, name, -1) };
  });
}
