import { z } from "zod";
import { NaruError } from "../errors.ts";

const port = z.coerce.number().int().min(0).max(65_535);

const environment = z.object({
  NARU_CONFIG_DIR: z.string().default("/etc/naru"),
  NARU_MODELS_DIR: z.string().default("/models"),
  NARU_HTTP_PORT: port.default(8080),
  NARU_GRPC_PORT: port.default(8081),
  NARU_ADMIN_PORT: port.default(8082),
  NARU_LISTEN_HOST: z.string().default("0.0.0.0"),
  NARU_POD_NAME: z.string().default(""),
});

/** What the operator tells every runtime container by its environment. A port of 0 takes a free one. */
export interface RuntimeEnvironment {
  configDir: string;
  modelsDir: string;
  httpPort: number;
  grpcPort: number;
  adminPort: number;
  listenHost: string;
  podName: string;
}

/** @throws NaruError InvalidEnvironment, naming the variable. */
export function readEnvironment(variables: NodeJS.ProcessEnv): RuntimeEnvironment {
  const parsed = environment.safeParse(variables);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new NaruError({
      code: "InvalidEnvironment",
      message: `environment variable ${issue?.path.join(".")}: ${issue?.message}`,
      remedy: "Set it to a port from 0 to 65535.",
    });
  }
  const given = parsed.data;
  return {
    configDir: given.NARU_CONFIG_DIR,
    modelsDir: given.NARU_MODELS_DIR,
    httpPort: given.NARU_HTTP_PORT,
    grpcPort: given.NARU_GRPC_PORT,
    adminPort: given.NARU_ADMIN_PORT,
    listenHost: given.NARU_LISTEN_HOST,
    podName: given.NARU_POD_NAME,
  };
}
