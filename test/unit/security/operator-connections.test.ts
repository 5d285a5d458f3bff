import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { modelServing } from "../../../crds/model-serving.ts";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { decide } from "../../../operator/model-serving/decide.ts";
import { modelServingKind } from "../../../operator/model-serving/kind.ts";
import { routerName } from "../../../operator/model-serving/names.ts";
import { partsOf } from "../../../scripts/image/imports.ts";
import { madeBy } from "../../support/made-by.ts";
import { modelServingCases, resourceOf } from "../../support/model-serving-cases.ts";
import { nothingObserved } from "../../support/nothing-observed.ts";

/** Whom the operator can talk to at all: what a `spec` names is for pods to fetch, and never for the operator. */

const ROOT = join(import.meta.dirname, "../../..");
/** Modules that open or take connections, start programs, or look names up. */
const NETWORK =
  /from "(?:node:(?:net|tls|https?|http2|dgram|dns(?:\/promises)?|child_process)|undici|@kubernetes\/client-node)"|\bfetch\(|\bnew WebSocket\(/;

afterEach(() => vi.unstubAllGlobals());

test("of the operator's files four can reach a network: to the API server, to its routers, and to listen", () => {
  const { files } = partsOf(ROOT, "operator/main.ts");
  expect(files.length).toBeGreaterThan(100);
  // What a type is imported from is loaded by nobody.
  const code = (file: string) => readFileSync(join(ROOT, file), "utf8").replaceAll(/^import type .*$/gm, "");
  expect(files.filter((file) => NETWORK.test(code(file)))).toEqual([
    "operator/kube/api-client.ts",
    "operator/kube/kubeconfig.ts",
    "operator/manager/http.ts",
    "operator/model-serving/router-client.ts",
  ]);
  expect(files.filter((file) => file.startsWith("lib/artifacts/"))).toEqual([]);
});

test("whatever a spec says, the operator asks its own router's pod and nobody else", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    return Promise.reject(new TypeError("no network"));
  });
  const settings = { runtimeImage: "registry.example/naru/runtime:1", namespace: "naru" };
  const kind = modelServingKind(settings, { publicKeys: ["A".repeat(43)], sign: () => "signed" });
  for (const one of modelServingCases.filter(({ refused }) => refused === undefined)) {
    const resource = modelServing.parse(resourceOf(one, "a"));
    const metadata = { name: resource.metadata.name, namespace: "default", uid: "u1", generation: 1 };
    const object = { ...resource, metadata } as KubeObject;
    const { children } = decide(object, nothingObserved, new Date(0));
    const router = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: routerName("a"), uid: "u2" },
    };
    const pod = (name: string, podIP: string, made: object): KubeObject => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", ...made },
      spec: { containers: [{ name: "router", ports: [{ name: "admin", containerPort: 8082 }] }] },
      status: { podIP },
    });
    const labels = { "naru.dev/role": "router" };
    const pods = [
      pod("own", "10.0.0.7", madeBy(routerName("a"), labels)),
      pod("other", "10.0.0.8", { labels }),
    ];
    const cluster: Pick<Cluster, "list" | "serves"> = { list: () => pods, serves: () => true };
    const owned = [...children.filter(({ metadata: { name } }) => name !== routerName("a")), router];
    await kind.observe(object, cluster as Cluster, new AbortController().signal, owned);
  }
  expect(new Set(asked)).toEqual(new Set(["http://10.0.0.7:8082/naru/status"]));
});
