import { invalid, quote } from "../v2/invalid.ts";

export const inferenceService = "inference.GRPCInferenceService";

/** Whether `grpc.health.v1` is asked of something that is served: the server as a whole (the empty name), or inference. */
export function isHealthService(service: string): boolean {
  return service === "" || service === inferenceService;
}

/** @throws NaruError UnknownService (404), which the health protocol wants as NOT_FOUND */
export function refuseUnknownService(service: string): void {
  if (isHealthService(service)) return;
  const remedy = `ask for "" or ${quote(inferenceService)}`;
  throw invalid("UnknownService", `there is no service ${quote(service)}`, remedy, 404);
}
