import { fileURLToPath } from "node:url";
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition, type ServiceDefinition } from "@grpc/proto-loader";

/** The protocol as protobufjs reads it from the .proto files: an independent peer of the hand-written code. */
const directory = fileURLToPath(new URL("../../lib/grpc/proto", import.meta.url));

const definition = loadSync(["inference.proto", "health.proto"], {
  includeDirs: [directory],
  keepCase: true,
  longs: Number,
  enums: Number,
  defaults: true,
  arrays: true,
});

const packages = loadPackageDefinition(definition);

/** Walks `inference.GRPCInferenceService` through nested packages. */
function serviceOf(path: string): ServiceClientConstructor {
  let at: unknown = packages;
  for (const part of path.split(".")) at = (at as GrpcObject)[part];
  return at as ServiceClientConstructor;
}

export const InferenceClient = serviceOf("inference.GRPCInferenceService");
export const HealthClient = serviceOf("grpc.health.v1.Health");

export function methodOf(service: string, method: string): MethodDefinition<object, object> {
  const found = (definition[service] as ServiceDefinition)[method];
  if (found === undefined) throw new Error(`${service} has no ${method}`);
  return found;
}
