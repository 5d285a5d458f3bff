import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutPreStop } from "../zero-loss/guards.ts";
import { pathsOf } from "../zero-loss/paths.ts";
import { missingProxies } from "../zero-loss/proxies/missing.ts";
import { runPath } from "../zero-loss/run.ts";
import { missingCluster } from "./support/cluster.ts";
import type { Namespace } from "./support/kube.ts";
import { losesNothing } from "./support/lossless.ts";
import { newNamespace } from "./support/namespaces.ts";
import { kubeWorld, storedSpec } from "./support/world.ts";

describe.skipIf(missingCluster() !== undefined || missingProxies().length > 0)(
  "zero loss on a cluster",
  () => {
    let namespace: Namespace;
    beforeAll(async () => {
      namespace = await newNamespace("loss");
    });
    afterAll(() => namespace.remove());

    it.each(pathsOf(storedSpec))("$name loses nothing, and status tells no lie", (path) =>
      losesNothing(namespace, () => path),
    );

    it("pods that end before proxies know of it lose requests, so that a loss can be seen here", async () => {
      const { world } = kubeWorld(namespace);
      const load = { requests: 1, untilLost: true, mostMilliseconds: 120_000 };
      const outcomes = await runPath(withoutPreStop(storedSpec), load, () => Promise.resolve(world));
      expect(outcomes.flatMap(({ report }) => report.lost)).not.toEqual([]);
    });
  },
);
