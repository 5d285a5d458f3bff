import type { KubeObject } from "../../../operator/engine/objects.ts";
import { modelServing } from "../../conformance/support/kube.ts";
import type { ApiServer } from "../../support/api-server.ts";
import { eventually } from "../../support/eventually.ts";

const NAMESPACES = 20;
const NEWCOMERS = "newcomers";
/** Creations at once. */
const WIDTH = 32;
/** A newcomer that waits longer is a failure of its own. */
const PATIENCE_MILLISECONDS = 600_000;

/** Each has a model of its own: what they have in common is what real ones have. */
export function benchServing(namespace: string, name: string): KubeObject {
  const serving = modelServing(namespace, name, 2);
  const { model, ...rest } = serving.spec as { model: object };
  return { ...serving, spec: { ...rest, model: { ...model, uri: `s3://models/${name}/1/model.onnx` } } };
}

/** The ModelServings of one API server, and those that come while others are worked on. */
export class Population {
  readonly #server: ApiServer;
  #newcomers = 0;

  constructor(server: ApiServer) {
    this.#server = server;
  }

  get newcomers(): number {
    return this.#newcomers;
  }

  async create(count: number): Promise<void> {
    const namespaces = Array.from({ length: NAMESPACES }, (_, index) => `bench-${index}`);
    for (const name of [...namespaces, NEWCOMERS]) {
      await this.#post("/api/v1/namespaces", { metadata: { name } });
    }
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        await this.#apply(`bench-${index % NAMESPACES}`, `serving-${String(index).padStart(5, "0")}`);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
  }

  /** Creates one more, and answers the milliseconds until its last child, the Service, is there. */
  async newcomer(): Promise<number> {
    const name = `newcomer-${String(this.#newcomers++).padStart(5, "0")}`;
    const from = performance.now();
    await this.#apply(NEWCOMERS, name);
    const path = `/api/v1/namespaces/${NEWCOMERS}/services/${name}`;
    await eventually(
      `the Service of ${name}`,
      async () => (await this.#server.request("GET", path)).status === 200,
      PATIENCE_MILLISECONDS,
    );
    return performance.now() - from;
  }

  /** How many resources have all of their children: the Service is the last of them. */
  async served(): Promise<number> {
    const { body } = await this.#server.request("GET", "/api/v1/services?limit=1");
    const { metadata } = body as { metadata?: { remainingItemCount?: number } };
    // The one that a listing shows is the cluster's own.
    return metadata?.remainingItemCount ?? 0;
  }

  #apply(namespace: string, name: string): Promise<void> {
    return this.#post(
      `/apis/naru.dev/v1alpha1/namespaces/${namespace}/modelservings`,
      benchServing(namespace, name),
    );
  }

  async #post(path: string, body: object): Promise<void> {
    const answer = await this.#server.request("POST", path, body);
    if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.body.message}`);
  }
}
