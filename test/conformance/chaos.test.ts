import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type CanaryMoves, canaryMoves } from "./support/canary.ts";
import { installModelServing, newNamespace } from "./support/kube.ts";
import { type OperatorProcess, startOperator } from "./support/operator-process.ts";
import { type Recorded, type RecordingProxy, startRecordingProxy } from "./support/recording-proxy.ts";
import { worldOf } from "./support/world.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: chaos on a real API server: ${missing}`);

/** A fresh operator for every write of three reconciles. */
const PATIENCE = 300_000;

describe.skipIf(missing !== undefined)(
  "the operator, killed between any two writes to a real API server",
  () => {
    let server: ApiServer;
    let folder: string;
    let operator: (OperatorProcess & { proxy: RecordingProxy }) | undefined;
    let started = 0;
    let canary: CanaryMoves;
    let moves: CanaryMoves["moves"];
    /** What each move comes to, and how many writes that takes, where nobody is killed. */
    const undisturbed = new Map<string, object>();
    const writesOf = new Map<string, number>();

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "naru-chaos-"));
      server = await startApiServer();
      await installModelServing(server);
      canary = canaryMoves(server, folder, "digits");
      moves = canary.moves;
      await fresh();
      const calm = await newNamespace(server);
      for (const [name, move] of Object.entries(moves)) {
        const before = running().proxy.writes.length;
        await move(calm);
        await settled();
        writesOf.set(name, running().proxy.writes.length - before);
        undisturbed.set(name, await worldOf(server, calm));
      }
    });
    afterEach(async ({ task }) => {
      if (task.result?.state === "fail") console.log("the operator logged:", operator?.log.slice(-20));
      if (operator === undefined) await fresh();
    });
    afterAll(async () => {
      await kill();
      await canary?.close();
      await server?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    /**
     * Without an election: whoever was killed is known to be dead when the next one starts, and who takes over from whom
     * has tests of its own.
     */
    async function fresh(): Promise<void> {
      started += 1;
      const proxy = await startRecordingProxy(server, join(folder, `kubeconfig-${started}`));
      const args = ["--no-leader-elect"];
      operator = {
        ...startOperator({ kubeconfig: proxy.kubeconfig, pod: `operator-${started}`, args }),
        proxy,
      };
      await operator.logged("every kind is listed");
    }

    function running(): OperatorProcess & { proxy: RecordingProxy } {
      if (operator === undefined) throw new Error("no operator runs");
      return operator;
    }

    async function kill(): Promise<void> {
      operator?.signal("SIGKILL");
      await operator?.ended;
      await operator?.proxy.close();
      operator = undefined;
    }

    /** Resolves once nothing has been written for a while. */
    async function settled(): Promise<void> {
      let before = -1;
      let quiet = 0;
      await eventually(
        "no more writes",
        () => {
          const writes = running().proxy.writes.length;
          quiet = writes === before ? quiet + 1 : 0;
          before = writes;
          return quiet > 30;
        },
        60_000,
      );
    }

    async function expectSame(about: string, namespace: string, want: object | undefined): Promise<void> {
      await eventually(about, async () => same(await worldOf(server, namespace), want), 30_000).catch(
        // So that what differs is shown.
        async () => expect(await worldOf(server, namespace), about).toEqual(want),
      );
    }

    test(
      "leaves behind what a fresh one completes: the same children and status as if nothing had happened",
      async () => {
        const kills = new Map(Object.keys(moves).map((name) => [name, 0]));
        const lanes: string[] = [];
        for (let nth = 1, killed = true; killed; nth += 1) {
          killed = false;
          const lane = await newNamespace(server);
          lanes.push(lane);
          for (const [name, move] of Object.entries(moves)) {
            const about = `${name}, killed at write ${nth}`;
            const { proxy } = running();
            let writes = 0;
            // The n-th write and what follows never reach the server.
            proxy.hold((request) => isWrite(request) && ++writes >= nth);
            await move(lane);
            const completed = await eventually(
              about,
              async () =>
                proxy.held > 0 || (same(await worldOf(server, lane), undisturbed.get(name)) && "yes"),
              60_000,
            );
            if (completed !== "yes") {
              killed = true;
              kills.set(name, (kills.get(name) ?? 0) + 1);
              await kill();
              await fresh();
            }
            await expectSame(about, lane, undisturbed.get(name));
            running().proxy.hold(() => false);
          }
        }
        // At least as often as an undisturbed operator writes: a fresh one may see what comes up in more steps.
        for (const [name, writes] of writesOf) expect(kills.get(name), name).toBeGreaterThanOrEqual(writes);
        // Nothing came of them later: the last operator has seen all of them.
        for (const lane of lanes) {
          expect(await worldOf(server, lane)).toEqual([...undisturbed.values()].at(-1));
        }
      },
      PATIENCE,
    );

    test(
      "comes to the same end when etcd is killed and started again in the middle of a reconcile",
      async () => {
        const namespace = await newNamespace(server);
        const { proxy } = running();
        let writes = 0;
        proxy.hold((request) => isWrite(request) && ++writes >= 4);
        await moves.creation?.(namespace);
        await eventually("a reconcile is under way", () => proxy.held > 0, 60_000);
        const back = server.restartEtcd();
        proxy.release();
        await back;
        await expectSame("after etcd is back", namespace, undisturbed.get("creation"));
      },
      PATIENCE,
    );
  },
);

function isWrite({ method, path }: Recorded): boolean {
  return method !== "GET" && !/\/(leases|events)\b/.test(path);
}

function same(one: object, other: object | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
