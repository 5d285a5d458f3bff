import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../operator/engine/clock.ts";
import { openApiClient } from "../../../operator/kube/api-client.ts";
import { openKubeCluster } from "../../../operator/kube/cluster.ts";
import { Events } from "../../../operator/kube/events.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type Answerer, json, type ScriptedApi, startScriptedApi } from "../../support/scripted-api.ts";
import { MemoryLog } from "../../support/widgets.ts";

const about = { apiVersion: "v1", kind: "ConfigMap", namespace: "default", name: "a" };
const event = (message: string) => ({ about, type: "Normal", reason: "Told", message }) as const;

describe("Events that still wait", () => {
  const open: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  async function telling(answer: Answerer, clock = systemClock) {
    const api = await startScriptedApi(answer);
    const client = openApiClient(api.connection);
    open.push(api.stop, () => client.close());
    const log = new MemoryLog();
    return { api, client, log, events: new Events({ client, clock, log, instance: "test" }) };
  }
  const posts = ({ asked }: ScriptedApi) => asked.filter(({ method }) => method === "POST").length;

  test("when the operator stops are written, and none is taken after that", async () => {
    const { api, events } = await telling((_, response) => json(response, {}, 201));
    for (let number = 0; number < 5; number += 1) events.tell(event(`number ${number}`));
    await events.stop();
    expect(posts(api)).toBe(5);
    events.tell(event("late"));
    await events.stop();
    expect(posts(api)).toBe(5);
  });

  test("are given up when a server does not answer within three seconds of a stop, and the log says how many", async () => {
    const clock = new FakeClock();
    const unanswered: ServerResponse[] = [];
    const { events, log } = await telling((_, response) => void unanswered.push(response), clock);
    for (let number = 0; number < 3; number += 1) events.tell(event(`number ${number}`));
    await eventually("the first is under way", () => unanswered.length === 1);
    let stopped = false;
    const stopping = events.stop().then(() => {
      stopped = true;
    });
    clock.advance(2_999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    clock.advance(1);
    await stopping;
    expect(unanswered).toHaveLength(1);
    expect(log.lines).toContainEqual({
      level: "warn",
      fields: { waiting: 2 },
      message: "events are dropped: no time left",
    });
  });

  test("are not held up by one that fails while the operator stops", async () => {
    const answers = [500, 201, 201];
    const { api, events } = await telling((_, response) => json(response, {}, answers.shift() ?? 201));
    for (let number = 0; number < 3; number += 1) events.tell(event(`number ${number}`));
    await events.stop();
    expect(posts(api)).toBe(3);
  });

  test("when a term ends are written though nothing else may be any more", async () => {
    let leads = true;
    const { api, client, log } = await telling(({ method, path }, response) => {
      if (method === "POST") json(response, {}, 201);
      else json(response, { kind: "APIGroupDiscoveryList", items: path === "/api" ? [CORE] : [] });
    });
    const cluster = await openKubeCluster({ client, log, kinds: [], mayWrite: () => leads });
    open.push(() => cluster.stop());
    cluster.event(event("done while it led"));
    leads = false;
    const { namespace, name, ...kind } = about;
    await expect(cluster.apply({ ...kind, metadata: { namespace, name } })).rejects.toThrow(/lease/);
    await cluster.stop();
    expect(posts(api)).toBe(1);
  });
});

/** As an API server says that it serves ConfigMaps. */
const CORE = {
  metadata: {},
  versions: [
    {
      version: "v1",
      freshness: "Current",
      resources: [
        {
          resource: "configmaps",
          responseKind: { group: "", version: "", kind: "ConfigMap" },
          scope: "Namespaced",
          verbs: ["list", "watch", "patch"],
          subresources: [],
        },
      ],
    },
  ],
};
