import type { InferenceConfig } from "../../../lib/config/inference.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { decodeModelInferRequest, type ModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import { encodeModelInferResponse } from "../../../lib/grpc/infer-response.ts";
import type { GrpcCall, UnaryMethod } from "../../../lib/grpc/server.ts";
import { deadlineOf } from "../../../lib/http/deadline.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import type { ModelRepository } from "../model.ts";

export interface InferSettings {
  readonly repository: Pick<ModelRepository, "get">;
  readonly config: Pick<InferenceConfig, "requestTimeoutMilliseconds">;
}

/** ModelInfer: message → tensors → model → message, and nothing between. */
export function modelInfer(settings: InferSettings): UnaryMethod {
  return async (message, call) =>
    sealFrame(
      encodeModelInferResponse(
        await infer(settings, decodeModelInferRequest(message), call),
        frameHeaderBytes,
      ),
    );
}

/** Throws or rejects with NaruError. */
export function infer(
  { repository, config }: InferSettings,
  { modelName, modelVersion, request }: ModelInferRequest,
  { headers, signal }: Pick<GrpcCall, "headers" | "signal">,
): Promise<InferResponse> {
  const model = repository.get(modelName, modelVersion === "" ? undefined : modelVersion);
  const deadline = deadlineOf(headers, config.requestTimeoutMilliseconds, performance.now());
  return model.infer(request, { signal, deadline, protocol: "grpc" });
}
