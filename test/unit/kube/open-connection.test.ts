import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openConnection, podFolder } from "../../../operator/kube/open-connection.ts";
import { projectFiles } from "../../support/projected-volume.ts";

const POD = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("which connection is opened", () => {
  let scratch: string;
  let folder: string;
  let home: string;
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), "naru-connection-"));
    folder = join(scratch, "serviceaccount");
    home = join(scratch, "home");
    await mkdir(join(home, ".kube"), { recursive: true });
    await projectFiles(folder, { token: "t", "ca.crt": "c" });
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(scratch, { recursive: true, force: true });
  });

  test("in a pod, by its service account", () => {
    expect(podFolder({}, { ...POD, HOME: home, KUBECONFIG: "" }, folder)).toBe(folder);
    expect(podFolder({}, POD, folder)).toBe(folder);
  });

  test("a pod without a token, or that is not told of its API server, is told so: it has no kubeconfig either", () => {
    expect(podFolder({}, POD, join(scratch, "none"))).toBe(join(scratch, "none"));
    expect(podFolder({}, {}, folder)).toBe(folder);
  });

  test("outside a pod, by a kubeconfig", () => {
    const none = join(scratch, "none");
    expect(podFolder({}, { HOME: home, KUBERNETES_SERVICE_HOST: "" }, none)).toBeUndefined();
  });

  test("a kubeconfig goes before the pod's own: by option, by KUBECONFIG, in its usual place", async () => {
    expect(podFolder({ kubeconfig: "a" }, POD, folder)).toBeUndefined();
    expect(podFolder({ context: "a" }, POD, folder)).toBeUndefined();
    expect(podFolder({}, { ...POD, KUBECONFIG: "a" }, folder)).toBeUndefined();
    await writeFile(join(home, ".kube/config"), "");
    expect(podFolder({}, { ...POD, HOME: home }, folder)).toBeUndefined();
  });

  test("a folder that is named goes before all", async () => {
    for (const [name, value] of Object.entries(POD)) vi.stubEnv(name, value);
    vi.stubEnv("KUBECONFIG", join(scratch, "none"));
    expect((await openConnection({ serviceAccountFolder: folder })).url).toBe("https://10.96.0.1:443");
    await expect(openConnection()).rejects.toMatchObject({ code: "KubeConfigUnusable" });
  });

  test("the operator as in a pod does not load Kubernetes' client, and loads it for a kubeconfig", async () => {
    const run = (options: object) => {
      const at = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
      const code =
        `await import(${at("operator/manager/manager.ts")});` +
        `const { openConnection } = await import(${at("operator/kube/open-connection.ts")});` +
        `console.log((await openConnection(${JSON.stringify(options)})).url);`;
      const forbid = new URL("../../support/no-kubernetes-client.ts", import.meta.url).href;
      const args = ["--import", forbid, "--input-type=module", "--eval", code];
      return promisify(execFile)(process.execPath, args, { env: { ...process.env, ...POD } });
    };
    expect((await run({ serviceAccountFolder: folder })).stdout).toBe("https://10.96.0.1:443\n");
    await expect(run({ kubeconfig: "none" })).rejects.toThrow("kubeconfig.ts loads Kubernetes' client");
  });
});
