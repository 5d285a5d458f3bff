import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { bodyOf, heldOut, infer } from "../integration/e2e/stand.ts";
import { eventually } from "../support/eventually.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";
import {
  type Application,
  type ApplicationStatus,
  healthOf,
  openApplication,
  revisionsOf,
  synced,
} from "./support/application.ts";
import { type ArgoCd, missingArgoCd, startArgoCd } from "./support/argo-cd.ts";
import { testCluster } from "./support/cluster.ts";
import { contentsOf } from "./support/contents.ts";
import { exampleSpec, folderSpec, writeExample, writeModel } from "./support/example.ts";
import { type GitRepository, newGitRepository } from "./support/git-repository.ts";
import { installChart, OPERATOR_NAMESPACE, RELEASE, uninstallChart } from "./support/install.ts";
import { type Namespace, openNamespace } from "./support/kube.ts";
import { CA_CONFIG_MAP, storedModel } from "./support/model-store.ts";
import { newNamespace } from "./support/namespaces.ts";
import { openServing, type Serving } from "./support/serving.ts";

/** Both ways in which Argo CD applies, and both in which it knows what is its own: the first of each is the example's. */
const WAYS = [
  {
    way: "server-side apply, with annotations for tracking",
    syncOptions: ["CreateNamespace=true", "ServerSideApply=true"],
    tracking: "annotation",
  },
  {
    way: "client-side apply, with labels for tracking",
    syncOptions: ["CreateNamespace=true"],
    tracking: "label",
  },
];
const COMPARISON = "argocd.argoproj.io/compare-options";
const WAVE = "argocd.argoproj.io/sync-wave";
const CANARY = {
  steps: [
    { weightPercent: 20, holdSeconds: 1 },
    { weightPercent: 50, holdSeconds: 1 },
  ],
  analysis: { minRequests: 5 },
};

const missing = missingArgoCd();
if (missing !== undefined) console.log(`skipped: Argo CD on a cluster: ${missing}`);

describe.skipIf(missing !== undefined)("Argo CD on a cluster", () => {
  let git: GitRepository;
  let namespace: Namespace;
  beforeAll(async () => {
    // What the other files test was installed by helm.
    await uninstallChart(testCluster());
    git = await newGitRepository();
    namespace = await newNamespace("argocd");
  });
  afterAll(async () => {
    await git?.delete();
    await namespace?.remove();
    await installChart(testCluster());
  });

  describe.each(WAYS)("by $way", ({ syncOptions, tracking }) => {
    let argocd: ArgoCd;
    let naru: Application;
    let digits: Serving;
    let untouched: readonly string[];
    beforeAll(async () => {
      untouched = await contentsOf(namespace);
      argocd = await startArgoCd({ "application.resourceTrackingMethod": tracking });
      await writeExample(git, namespace.name);
      await writeModel(git, namespace.name, "digits", { canary: CANARY });
      await git.commit("The operator and its models");
      naru = openApplication(argocd.namespace, "naru");
      digits = openServing(namespace, "digits");
    });
    afterAll(async () => {
      await naru?.remove();
      await Promise.all([naru?.stop(), digits?.stop()]);
      await argocd?.stop();
      await uninstallChart(testCluster());
    });

    /** Compares anew, several times and in each way, and expects that nothing is found and nothing synced. */
    async function findsNoDiff(application: Application): Promise<void> {
      const done = ({ history = [], operationState }: ApplicationStatus) => ({
        synced: history.map(({ id }) => id),
        operation: operationState?.startedAt,
      });
      const before = done(application.status());
      for (const serverSide of [false, true, false]) {
        await application.annotate({ [COMPARISON]: `ServerSideDiff=${serverSide}` });
        for (let again = 0; again < 2; again += 1) {
          const now = await application.refresh();
          expect(now.sync?.status, JSON.stringify(now)).toBe("Synced");
          expect(now.resources?.filter(({ status }) => status !== "Synced")).toEqual([]);
          expect(now.conditions ?? []).toEqual([]);
          expect(done(now)).toEqual(before);
        }
      }
    }

    async function inNamespace(kind: string, name: string) {
      const object = await namespace.get(kind, name);
      if (object === undefined) throw new Error(`there is no ${kind} ${name}`);
      return object;
    }

    it("syncs the operator and its models in waves, and all of it is Synced and Healthy", async () => {
      await naru.apply(await exampleSpec(git, syncOptions));
      const status = await naru.settled("all to be Synced and Healthy", healthy);
      expect(naru.health("digits")?.status).toBe("Healthy");
      expect(naru.health("digits-pair")?.status).toBe("Healthy");
      expect(status.history).toHaveLength(1);

      const operator = await (await openNamespace(OPERATOR_NAMESPACE)).get(
        "deployment",
        `${RELEASE}-operator`,
      );
      const [first, second] = [
        await inNamespace("modelserving", "digits"),
        await inNamespace("modelserving", "digits-pair"),
      ];
      expect(createdAt(first)).toBeGreaterThanOrEqual(since(operator?.status, "Available"));
      expect(createdAt(second)).toBeGreaterThanOrEqual(since(first.status, "RolloutComplete"));
      // Nothing of this needs a person, so nothing of it may end a sync.
      expect(naru.moments.map((moment) => healthOf(moment, "digits")?.status)).not.toContain("Degraded");
      expect(naru.moments.map(({ operationState }) => operationState?.phase)).not.toContain("Failed");
    });

    it("rolls an edit out by its canary, and is Healthy again only once it serves", async () => {
      const before = naru.moments.length;
      await writeModel(git, namespace.name, "digits", { canary: CANARY, model: storedModel("v2") });
      const commit = await git.commit("Another model");
      await naru.refresh();
      const address = await digits.address("http");
      const status = await asked(address, () =>
        naru.settled(
          "the edit to serve",
          (now) => healthy(now) && revisionsOf(now).every((revision) => revision === commit),
        ),
      );

      const { metadata, status: said } = await inNamespace("modelserving", "digits");
      expect((said as ModelServingStatus).lastRollout?.result).toBe("Promoted");
      expect((said as ModelServingStatus).observedGeneration).toBe(metadata.generation);
      const complete = since(said, "RolloutComplete");
      expect(Date.parse(status.operationState?.finishedAt ?? "")).toBeGreaterThanOrEqual(complete);
      const moments = naru.moments.slice(before);
      const ofEdit = moments.filter(
        (moment) =>
          revisionsOf(moment).includes(commit) &&
          moment.resources?.some(({ name, status }) => name === "digits" && status === "Synced"),
      );
      const seen = ofEdit.map((moment) => healthOf(moment, "digits")?.status);
      expect(seen).toContain("Progressing");
      expect(new Set(seen)).toEqual(new Set(["Progressing", "Healthy"]));
      for (const moment of ofEdit) {
        if (healthOf(moment, "digits")?.status === "Healthy")
          expect(moment.toldAt).toBeGreaterThanOrEqual(complete);
      }
      expect(digits.lies).toEqual([]);
    });

    it("finds no diff afterwards, by either comparison, and syncs no more", async () => {
      await findsNoDiff(naru);
      const { metadata } = await inNamespace("modelserving", "digits");
      // One of what git said first, one of the edit: Argo CD had nothing to put right.
      expect(metadata.generation).toBe(2);
    });

    it("puts back what was changed by hand", async () => {
      await namespace.run(["scale", "modelserving/digits", "--replicas", "3"]);
      await eventually(
        "two replicas to be asked for again",
        async () => {
          const { spec } = await inNamespace("modelserving", "digits");
          return (spec as { replicas: number }).replicas === 2;
        },
        120_000,
      );
      await naru.settled("all to be Synced and Healthy", healthy);
      await findsNoDiff(naru);
    });

    // How a sync fails is the same however it is applied.
    it.runIf(tracking === "annotation")(
      "calls a model that can't come up Progressing, then Degraded, and holds back the wave after it",
      async () => {
        const model = (wave: number, name: string, spec: object) =>
          git.write(
            `broken/${name}.yaml`,
            JSON.stringify({
              ...{ apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" },
              metadata: { name, annotations: { [WAVE]: String(wave) } },
              spec: { replicas: 1, termination: { preStopSeconds: 0, drainSeconds: 1 }, ...spec },
            }),
          );
        const sha256 = "0".repeat(64);
        const broken = { model: { ...storedModel("v1"), sha256 }, progressDeadlineSeconds: 10 };
        await model(1, "first", broken);
        await model(2, "second", { model: storedModel("v1") });
        await git.commit("A model with the digest of another");
        // Children carry the ModelServing's name in the label by which Argo CD may track: it must not take them for its own.
        const application = openApplication(argocd.namespace, "first");
        try {
          await application.apply(await folderSpec(git, "broken", namespace.name, syncOptions));
          await application.settled("the sync to fail", ({ operationState }) =>
            /completed unsuccessfully/.test(operationState?.message ?? ""),
          );
          const messages = (status: string) =>
            application.moments
              .map((moment) => healthOf(moment, "first"))
              .filter((health) => health?.status === status)
              .map((health) => health?.message);
          expect(messages("Progressing")).not.toEqual([]);
          expect(messages("Degraded").at(-1)).toMatch(/^ProgressDeadlineExceeded: .*DigestMismatch: /);
          expect(messages("Healthy")).toEqual([]);
          expect(await namespace.get("modelserving", "second")).toBeUndefined();

          await model(1, "first", { model: storedModel("v1") });
          const commit = await git.commit("The model with its own digest");
          await application.refresh();
          await application.settled(
            "the correction to serve",
            (now) => healthy(now) && revisionsOf(now).includes(commit),
          );
          expect(application.health("second")?.status).toBe("Healthy");
          await findsNoDiff(application);
        } finally {
          await application.remove();
          await application.stop();
          await git.remove("broken");
        }
      },
    );

    it("deletes all that it brought with the Application, and leaves the definitions", async () => {
      await naru.remove();
      const operator = await openNamespace(OPERATOR_NAMESPACE);
      const ofCluster = "clusterroles,clusterrolebindings,priorityclasses";
      const selector = ["--selector", "app.kubernetes.io/name=naru-operator"];
      await eventually(
        "all that Kubernetes collects to be gone",
        async () => {
          expect(await operator.run(["get", ofCluster, ...selector, "--output", "name"])).toBe("");
          expect(await contentsOf(namespace)).toEqual(untouched);
          // Made by the operator for its next life, as after helm uninstall.
          const own = ["secret/naru-router-signing-key", "lease.coordination.k8s.io/naru-operator"];
          const ofKubernetes = untouched.filter((name) => name !== `configmap/${CA_CONFIG_MAP}`);
          expect(new Set(await contentsOf(operator))).toEqual(new Set([...own, ...ofKubernetes]));
          return true;
        },
        120_000,
      );
      expect(await operator.get("customresourcedefinition", "modelservings.naru.dev")).toBeDefined();
    });

    it("finds no diff in any shape that a spec may have", async () => {
      const shapes = modelServingCases.filter(({ refused }) => refused === undefined);
      for (const [index, shape] of shapes.entries()) {
        const { metadata: _name, ...manifest } = resourceOf(shape, "") as { metadata: object };
        const named = { ...manifest, metadata: { name: `shape-${index}` } };
        await git.write(`shapes/${index}.yaml`, JSON.stringify(named));
      }
      await git.commit("Every shape of a spec");
      const application = openApplication(argocd.namespace, "shapes");
      try {
        await application.apply(await folderSpec(git, "shapes", namespace.name, syncOptions));
        const status = await application.settled(
          "all shapes to be synced",
          (now) => synced(now) && now.operationState?.phase === "Succeeded",
        );
        expect(status.resources).toHaveLength(shapes.length);
        await findsNoDiff(application);
      } finally {
        await application.remove();
        await application.stop();
        await git.remove("shapes");
      }
    });
  });

  function healthy(status: ApplicationStatus): boolean {
    const { health, operationState } = status;
    return synced(status) && health?.status === "Healthy" && operationState?.phase === "Succeeded";
  }

  function createdAt({ metadata }: KubeObject): number {
    return Date.parse(metadata.creationTimestamp ?? "");
  }

  /** Since when a condition is true: the second, which is all that Kubernetes writes. */
  function since(status: unknown, type: string): number {
    const { conditions = [] } = (status ?? {}) as {
      conditions?: { type: string; status: string; lastTransitionTime: string }[];
    };
    const found = conditions.find((condition) => condition.type === type && condition.status === "True");
    if (found === undefined) throw new Error(`${type} is not true in ${JSON.stringify(conditions)}`);
    return Date.parse(found.lastTransitionTime);
  }

  /** Asks one digit after the other until something is there: a canary is judged by what it answers. */
  async function asked<T>(address: string, wait: () => Promise<T>): Promise<T> {
    let over = false;
    const asking = (async () => {
      while (!over) await (await infer(address, "digits", bodyOf(heldOut.slice(0, 1)))).arrayBuffer();
    })();
    try {
      return await wait();
    } finally {
      over = true;
      await asking;
    }
  }
});
