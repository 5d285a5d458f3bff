import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import type { HttpConfig } from "../../lib/config/inference.ts";
import { SIGNATURE_HEADER } from "../../lib/config/router-push.ts";
import { NaruError } from "../../lib/errors.ts";
import { errorAnswer } from "../../lib/http/error-answer.ts";
import { fastifyServerOptions } from "../../lib/http/server-options.ts";
import type { ConfigSource } from "./config-source.ts";
import type { Router } from "./router.ts";
import { openPush, refuseUnsigned } from "./signed-push.ts";

/** A graph of 32 nodes and 128 edges takes a tenth of it. */
const MAX_CONFIG_BYTES = 1024 * 1024;
/** So long a push waits for the metadata of a graph's nodes before it is answered 202. */
const SETTLE_MS = 2000;

/**
 * The admin port: `GET /naru/status`, `PUT /naru/config`, probes, and `/metrics`. Probes and scrapes come from anywhere, so
 * whoever is in the cluster may reach it: what it answers holds no secret, and what it is told is taken only with the
 * operator's signature.
 */
export function adminServer(
  router: Router,
  source: ConfigSource,
  configDir: string,
  http: HttpConfig,
  draining: () => boolean,
): FastifyInstance {
  // Closed last, when all requests are answered: a connection that the operator or a probe keeps must not hold up the end.
  const app = fastify({
    ...fastifyServerOptions(http),
    bodyLimit: MAX_CONFIG_BYTES,
    forceCloseConnections: true,
  });
  // A signature is over the bytes that came, so they are not read as JSON on the way.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
  app.setErrorHandler((error, request, reply) => {
    if (request.method === "PUT" && error instanceof NaruError) router.pushRefused(error.code);
    const answer = errorAnswer(error);
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });

  app.get("/naru/status", () => router.report());
  const beforeBody = { onRequest: async (request: FastifyRequest) => refuseUnsigned(signatureIn(request)) };
  app.put<{ Body: Buffer | undefined }>("/naru/config", beforeBody, async (request, reply) => {
    const config = await openPush(configDir, request.body ?? Buffer.alloc(0), signatureIn(request));
    const settled = await Promise.race([source.push(config).then(() => true), after(SETTLE_MS)]);
    const report = router.report();
    // 202: kept, and applied as soon as its graphs fit; the report says what is in the way.
    return reply.code(settled && report.problem === undefined ? 200 : 202).send(report);
  });

  app.get("/metrics", async (_request, reply) => {
    const { contentType, body } = await router.metrics.expose();
    return reply.type(contentType).send(body);
  });

  const live = () => ({ live: true });
  app.get("/livez", live);
  app.get("/v2/health/live", live);
  app.get("/startupz", live);
  for (const path of ["/readyz", "/v2/health/ready"]) {
    app.get(path, (_request, reply) => {
      const ready = router.ready && !draining();
      return reply.code(ready ? 200 : 503).send({ ready });
    });
  }
  return app;
}

function signatureIn(request: FastifyRequest): string | undefined {
  const value = request.headers[SIGNATURE_HEADER];
  return Array.isArray(value) ? value.join(", ") : value;
}

async function after(milliseconds: number): Promise<false> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
  return false;
}
