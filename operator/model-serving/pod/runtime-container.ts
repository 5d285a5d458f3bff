import type { Container, EnvVar } from "kubernetes-types/core/v1.js";
import { runtimeProbes } from "./probes.ts";
import { RESTRICTED } from "./security.ts";

export const CONFIG_DIR = "/etc/naru";
export const MODELS_DIR = "/models";
export const RUNTIME_PORTS = { http: 8080, grpc: 8081, admin: 8082 } as const;

/** The environment that every runtime reads; explicit, so that nothing depends on an image's defaults. */
function runtimeEnv(): EnvVar[] {
  return [
    { name: "NARU_CONFIG_DIR", value: CONFIG_DIR },
    { name: "NARU_MODELS_DIR", value: MODELS_DIR },
    { name: "NARU_HTTP_PORT", value: String(RUNTIME_PORTS.http) },
    { name: "NARU_GRPC_PORT", value: String(RUNTIME_PORTS.grpc) },
    { name: "NARU_ADMIN_PORT", value: String(RUNTIME_PORTS.admin) },
    { name: "NARU_POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
  ];
}

/** A container that runs one of Naru's servers: its ports, probes, drain and rights; the rest is the caller's. */
export function runtimeServer(
  program: "inference" | "router",
  options: { name: string; image: string; startupSeconds: number; preStopSeconds: number },
): Container {
  return {
    name: options.name,
    image: options.image,
    args: [program],
    env: runtimeEnv(),
    ports: Object.entries(RUNTIME_PORTS).map(([name, containerPort]) => ({
      name,
      containerPort,
      protocol: "TCP",
    })),
    ...runtimeProbes(options.startupSeconds),
    ...preStop(options.preStopSeconds),
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: RESTRICTED,
  };
}

/**
 * The kubelet's own sleep: no shell is needed in the image. Older servers refuse one of zero seconds, which is
 * the same as none.
 */
export function preStop(seconds: number): Pick<Container, "lifecycle"> {
  return seconds === 0 ? {} : { lifecycle: { preStop: { sleep: { seconds } } } };
}
