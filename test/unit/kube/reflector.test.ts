import { afterEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../operator/engine/clock.ts";
import { openApiClient } from "../../../operator/kube/api-client.ts";
import { KindCache } from "../../../operator/kube/cache.ts";
import {
  objectKey,
  Reflector,
  type ReflectorOptions,
  type ReflectorState,
} from "../../../operator/kube/reflector.ts";
import { eventually } from "../../support/eventually.ts";
import { type Answerer, json, lines, refusal, startScriptedApi } from "../../support/scripted-api.ts";

const KIND = { apiVersion: "v1", kind: "ConfigMap" };
const PATH = "/api/v1/configmaps";

const item = (name: string, resourceVersion: number, uid = `uid-${name}`) => ({
  metadata: { namespace: "default", name, uid, resourceVersion: String(resourceVersion) },
});
const page = (items: unknown[], resourceVersion: number, next?: string) => ({
  kind: "ConfigMapList",
  metadata: { resourceVersion: String(resourceVersion), ...(next === undefined ? {} : { continue: next }) },
  items,
});
const event = (type: string, object: unknown) => ({ type, object });
const bookmark = (version: number) => event("BOOKMARK", { metadata: { resourceVersion: String(version) } });
const failure = (code: number, reason: string) =>
  event("ERROR", { kind: "Status", code, reason, message: reason });

/** Time as it is, but nobody waits: each wait is noted and over at once. */
function impatientClock(): Clock & { waits: number[] } {
  const waits: number[] = [];
  return {
    ...systemClock,
    waits,
    after: (milliseconds, run) => {
      waits.push(milliseconds);
      const soon = setImmediate(run);
      return () => clearImmediate(soon);
    },
  };
}

describe("a reflector", () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  /** Runs one against a script: what to answer to the first listing, the second, …, and the same of watches. */
  const reflect = async (
    script: { lists: readonly Answerer[]; watches: readonly Answerer[] },
    options: Partial<ReflectorOptions> = {},
  ) => {
    const lists = [...script.lists];
    const watches = [...script.watches];
    const api = await startScriptedApi((asked, response) => {
      const next = asked.query.has("watch") ? watches.shift() : lists.shift();
      // At the script's end, a watch on which nothing happens.
      if (next === undefined) lines(response, []);
      else next(asked, response);
    });
    ends.push(() => api.stop());
    const client = openApiClient(api.connection);
    ends.push(() => client.close());
    const clock = impatientClock();
    const told: string[] = [];
    const states: ReflectorState[] = [];
    const logged: string[] = [];
    const cache = new KindCache({
      keep: (object) => object,
      onHandlerError: (thrown) => logged.push(String(thrown)),
    });
    cache.watch(KIND, ({ type, object }) =>
      told.push(`${type} ${object.metadata.name} ${object.metadata.resourceVersion}`),
    );
    const log = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
    const reflector = new Reflector({
      client,
      path: PATH,
      kind: KIND,
      clock,
      log: { debug: log, info: log, warn: log, error: log },
      sink: {
        put: (object) => cache.put(object),
        remove: (object) => cache.remove(object),
        retain: (listed) => cache.removeIf((object) => !listed.has(objectKey(object))),
        state: (state) => states.push(state),
      },
      ...options,
    });
    const stop = new AbortController();
    const running = reflector.run(stop.signal);
    ends.push(async () => {
      stop.abort(new Error("the test ends"));
      await running;
    });
    const askedFor = (watch: boolean) => api.asked.filter(({ query }) => query.has("watch") === watch);
    const idle = () =>
      eventually("the last watch of the script", () => askedFor(true).length > script.watches.length);
    return { asked: api.asked, askedFor, cache, clock, idle, logged, running, states, stop, told };
  };
  const list: (...args: Parameters<typeof page>) => Answerer =
    (...args) =>
    (_, response) =>
      json(response, page(...args));
  const watch: (...events: unknown[]) => Answerer =
    (...events) =>
    (_, response) =>
      lines(response, events, true);
  const refuse: (code: number, reason: string) => Answerer = (code, reason) => (_, response) =>
    refusal(response, code, reason);

  test("lists in pages and watches from the version of the last", async () => {
    const { askedFor, idle, states, told } = await reflect({
      lists: [list([item("a", 1)], 7, "page 2"), list([item("b", 2)], 7)],
      watches: [],
    });
    await idle();
    expect(told).toEqual(["Added a 1", "Added b 2"]);
    expect(states).toEqual(["listed"]);
    expect(askedFor(false).map(({ query }) => query.get("continue"))).toEqual([null, "page 2"]);
    const [watching] = askedFor(true);
    expect(watching?.query.get("resourceVersion")).toBe("7");
    expect(watching?.query.get("allowWatchBookmarks")).toBe("true");
  });

  test("a listing whose later page is forgotten begins again, and nothing looks deleted meanwhile", async () => {
    const { askedFor, idle, told } = await reflect({
      lists: [
        list([item("a", 1)], 7, "page 2"),
        refuse(410, "Expired"),
        list([item("a", 1)], 9, "page 2"),
        list([item("b", 8)], 9),
      ],
      watches: [],
    });
    await idle();
    expect(told).toEqual(["Added a 1", "Added b 8"]);
    expect(askedFor(false)).toHaveLength(4);
  });

  test("a watch that the server ends goes on from the last event or bookmark", async () => {
    const { askedFor, idle, told } = await reflect({
      lists: [list([], 7)],
      watches: [
        watch(event("ADDED", item("a", 8))),
        watch(bookmark(20)),
        watch(event("DELETED", item("a", 21))),
      ],
    });
    await idle();
    expect(askedFor(true).map(({ query }) => query.get("resourceVersion"))).toEqual(["7", "8", "20", "21"]);
    expect(askedFor(false)).toHaveLength(1);
    expect(told).toEqual(["Added a 8", "Deleted a 21"]);
  });

  test("an error within a watch that is no 410 lists nothing again", async () => {
    const { askedFor, idle } = await reflect({
      lists: [list([], 7)],
      watches: [watch(bookmark(9), failure(500, "InternalError")), refuse(429, "TooManyRequests")],
    });
    await idle();
    expect(askedFor(false)).toHaveLength(1);
    expect(askedFor(true).map(({ query }) => query.get("resourceVersion"))).toEqual(["7", "9", "9"]);
  });

  for (const [how, forgotten] of [
    ["within a watch", watch(failure(410, "Expired"))],
    ["as an answer", refuse(410, "Gone")],
  ] as const) {
    test(`a 410 ${how} lists again: what changed, came and went meanwhile is told, what did not is not`, async () => {
      const { idle, told } = await reflect({
        lists: [
          list([item("same", 1), item("changed", 2), item("gone", 3), item("remade", 4, "first")], 7),
          list([item("same", 1), item("changed", 8), item("new", 9), item("remade", 10, "second")], 11),
        ],
        watches: [forgotten],
      });
      await idle();
      expect(told.slice(4)).toEqual([
        "Modified changed 8",
        "Added new 9",
        "Deleted remade 4",
        "Added remade 10",
        "Deleted gone 3",
      ]);
    });
  }

  test("waits grow to a bound, in their upper half, and begin anew after something was heard", async () => {
    const refused = Array.from({ length: 9 }, () => refuse(500, "InternalError"));
    const { clock, idle } = await reflect(
      { lists: [list([], 7)], watches: [...refused, watch(bookmark(8)), refuse(500, "InternalError")] },
      { timing: { firstRetry: 100, longestRetry: 2_000 } },
    );
    await idle();
    const bounds = [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 100];
    expect(clock.waits).toHaveLength(bounds.length);
    for (const [index, bound] of bounds.entries()) {
      expect(clock.waits[index]).toBeGreaterThanOrEqual(bound / 2);
      expect(clock.waits[index]).toBeLessThanOrEqual(bound);
    }
  });

  test("a server that asks to be left alone for long is", async () => {
    const busy: Answerer = (_, response) => response.writeHead(429, { "retry-after": "9" }).end();
    const { clock, idle } = await reflect({ lists: [busy, list([], 7)], watches: [] });
    await idle();
    expect(clock.waits).toEqual([9_000]);
  });

  test("a watch that ends at once, again and again, is no reason to ask without pause", async () => {
    const { clock, idle } = await reflect({ lists: [list([], 7)], watches: [watch(), watch(), watch()] });
    await idle();
    expect(clock.waits).toHaveLength(3);
  });

  test("a line that is no event costs its watch and nothing else", async () => {
    const garbage: Answerer = (_, response) => response.writeHead(200).end('{"type":"ADDED"}\nnot json\n');
    const { idle, told } = await reflect({
      lists: [list([], 7)],
      watches: [garbage, watch(event("ADDED", item("a", 8)))],
    });
    await idle();
    expect(told).toEqual(["Added a 8"]);
  });

  test("a few refusals of what could be read are not believed: nothing looks deleted", async () => {
    const { askedFor, idle, states, told } = await reflect(
      {
        lists: [list([item("a", 1)], 7)],
        watches: [refuse(403, "Forbidden"), refuse(404, "NotFound"), watch(event("MODIFIED", item("a", 8)))],
      },
      { timing: { believedRefusals: 3 } },
    );
    await idle();
    expect(told).toEqual(["Added a 1", "Modified a 8"]);
    expect(states).toEqual(["listed"]);
    expect(askedFor(false)).toHaveLength(1);
  });

  test("a refusal after a long outage is one refusal: a server that starts knows not everything yet", async () => {
    const away = Array.from({ length: 8 }, () => refuse(503, "ServiceUnavailable"));
    const { idle, states, told } = await reflect(
      {
        lists: [list([item("a", 1)], 7)],
        watches: [
          ...away,
          refuse(403, "Forbidden"),
          refuse(404, "NotFound"),
          watch(event("MODIFIED", item("a", 8))),
        ],
      },
      { timing: { believedRefusals: 3 } },
    );
    await idle();
    expect(told).toEqual(["Added a 1", "Modified a 8"]);
    expect(states).not.toContain("forbidden");
    expect(states).not.toContain("absent");
  });

  test("refusals that stay are told, and the kind is listed again once it may be read", async () => {
    const forbidden = Array.from({ length: 3 }, () => refuse(403, "Forbidden"));
    const { askedFor, idle, states } = await reflect(
      {
        lists: [list([item("a", 1)], 7), refuse(403, "Forbidden"), list([item("a", 1)], 9)],
        watches: forbidden,
      },
      { timing: { believedRefusals: 3 } },
    );
    await idle();
    expect(states).toEqual(["listed", "forbidden", "forbidden", "listed"]);
    expect(askedFor(false)).toHaveLength(3);
  });

  test("what could never be read is told to be forbidden or absent at once", async () => {
    const { idle, states } = await reflect({
      lists: [refuse(403, "Forbidden"), refuse(404, "NotFound"), list([], 7)],
      watches: [],
    });
    await idle();
    expect(states).toEqual(["forbidden", "absent", "listed"]);
  });

  test("what the server answers and can't list is told to be failing, unless it was listed before or has only begun", async () => {
    const broken = Array.from({ length: 3 }, () => refuse(500, "InternalError"));
    const { idle, states } = await reflect(
      {
        lists: [refuse(500, "InternalError"), refuse(503, "ServiceUnavailable"), ...broken, list([], 7)],
        watches: broken,
      },
      { timing: { believedRefusals: 3 } },
    );
    await idle();
    const never = ["unreachable", "unreachable", "unreachable", "unreachable", "failing"];
    expect(states).toEqual([...never, "listed", "unreachable", "unreachable", "unreachable"]);
  });

  test("each watch asks for a time of its own, between the shortest and its double", async () => {
    const ended = Array.from({ length: 5 }, (_, index) => watch(bookmark(index + 8)));
    const { askedFor, idle } = await reflect({ lists: [list([], 7)], watches: ended });
    await idle();
    const seconds = askedFor(true).map(({ query }) => Number(query.get("timeoutSeconds")));
    expect(Math.min(...seconds)).toBeGreaterThanOrEqual(300);
    expect(Math.max(...seconds)).toBeLessThanOrEqual(600);
    expect(new Set(seconds).size).toBeGreaterThan(1);
  });

  test("stop ends a listing that is not answered, a watch that is open, and a wait", async () => {
    const unanswered: Answerer = () => undefined;
    const listing = await reflect({ lists: [unanswered], watches: [] });
    await eventually("the listing", () => listing.asked.length === 1);
    const watching = await reflect({ lists: [list([], 7)], watches: [] });
    await watching.idle();
    const waiting = await reflect(
      { lists: [refuse(500, "InternalError")], watches: [] },
      { clock: systemClock, timing: { firstRetry: 600_000, longestRetry: 600_000 } },
    );
    await eventually("the wait", () => waiting.states.includes("unreachable"));
    for (const { running, stop } of [listing, watching, waiting]) {
      stop.abort(new Error("stopped by the test"));
      await running;
    }
    expect(waiting.asked).toHaveLength(1);
  });
});
