import { afterAll, beforeAll, describe, it } from "vitest";
import { pathsOf } from "../zero-loss/paths.ts";
import { missingProxies } from "../zero-loss/proxies/missing.ts";
import { missingCluster } from "./support/cluster.ts";
import type { Namespace } from "./support/kube.ts";
import { losesNothing } from "./support/lossless.ts";
import { newNamespace } from "./support/namespaces.ts";
import { storedSpec } from "./support/world.ts";

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
  },
);
