import type { InferRequest, Tensor } from "../../../lib/v2/types.ts";

/** To the decoding thread, which has one at a time. */
export interface DecodeJob {
  readonly body: Uint8Array;
  readonly headerLength: number | undefined;
}

/** From it: the request, or the NaruError that decoding threw. */
export type DecodeAnswer =
  | { readonly request: InferRequest }
  | {
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
      readonly status: number;
    };

/** The memory of numeric tensors, which can be handed over instead of being copied. */
export function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) {
    if (!Array.isArray(data) && ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer)
      buffers.add(data.buffer);
  }
  return [...buffers];
}
