import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { httpConfig } from "../../../lib/config/inference.ts";
import { NaruError } from "../../../lib/errors.ts";
import { manageHttp1 } from "../../../lib/http/http1-lifecycle.ts";
import { httpServerOptions } from "../../../lib/http/server-options.ts";
import { runProgram } from "../../../lib/process/run.ts";
import { createLogger } from "../../../lib/telemetry/logger.ts";

/** A program as runtimes are: what run.test.ts sends signals to. */
await runProgram(async () => {
  if (process.env.FAIL === "start") {
    throw new NaruError({
      code: "DigestMismatch",
      message: "not the model",
      remedy: "Give the right digest.",
    });
  }
  if (process.env.FAIL === "never starts") {
    process.stdout.write("starts\n");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  }
  const config = httpConfig.parse({ drainSeconds: 60 });
  const server = createServer(httpServerOptions(config), (request, response) => {
    if (request.url === "/throw") setImmediate(() => Promise.reject(new Error("nobody waits for this")));
    response.end("ok");
  });
  const lifecycle = manageHttp1(server, config);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
  return {
    async drain() {
      await lifecycle.drain({ quietMilliseconds: 10 });
    },
    stop: lifecycle.stop,
  };
}, createLogger("served"));
