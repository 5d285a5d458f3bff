import fastify, { type FastifyInstance } from "fastify";
import type { HttpConfig } from "../../lib/config/inference.ts";
import { errorAnswer } from "../../lib/http/error-answer.ts";
import { fastifyServerOptions } from "../../lib/http/server-options.ts";
import type { ConfigSource } from "./config-source.ts";
import type { Router } from "./router.ts";

/** A graph of 32 nodes and 128 edges takes a tenth of it. */
const MAX_CONFIG_BYTES = 1024 * 1024;
/** So long a push waits for the metadata of a graph's nodes before it is answered 202. */
const SETTLE_MS = 2000;

/**
 * The admin port: `GET /naru/status`, `PUT /naru/config`, probes, and `/metrics`. It is for the operator and the kubelet;
 * a NetworkPolicy keeps others out.
 */
export function adminServer(
  router: Router,
  source: ConfigSource,
  http: HttpConfig,
  draining: () => boolean,
): FastifyInstance {
  // Closed last, when all requests are answered: a connection that the operator or a probe keeps must not hold up the end.
  const app = fastify({
    ...fastifyServerOptions(http),
    bodyLimit: MAX_CONFIG_BYTES,
    forceCloseConnections: true,
  });
  app.setErrorHandler((error, _request, reply) => {
    const answer = errorAnswer(error);
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });

  app.get("/naru/status", () => router.report());
  app.put("/naru/config", async (request, reply) => {
    const settled = await Promise.race([source.push(request.body).then(() => true), after(SETTLE_MS)]);
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

async function after(milliseconds: number): Promise<false> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
  return false;
}
