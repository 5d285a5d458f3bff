import type { TensorMetadata } from "../../../lib/v2/types.ts";

/** Whether one tensor can be taken for another: the datatype, and the shape, in which -1 fits anything. */
export function fits(a: TensorMetadata, b: TensorMetadata): boolean {
  return a.datatype === b.datatype && shapesFit(a.shape, b.shape);
}

/** -1 is a dimension that each request chooses. */
function shapesFit(a: readonly number[], b: readonly number[]): boolean {
  return (
    a.length === b.length && a.every((dimension, i) => dimension === -1 || b[i] === -1 || dimension === b[i])
  );
}

/** `known` with the dimensions that it leaves open as `other` has them: what fits both. */
export function narrowed(known: TensorMetadata, other: TensorMetadata): TensorMetadata {
  return {
    ...known,
    shape: known.shape.map((dimension, i) => (dimension === -1 ? (other.shape[i] ?? -1) : dimension)),
  };
}

export function describe(tensor: TensorMetadata): string {
  return `${tensor.datatype} [${tensor.shape.join(", ")}]`;
}
