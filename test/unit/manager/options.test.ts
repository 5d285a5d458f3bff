import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readAddress } from "../../../operator/manager/address.ts";
import { readOptions } from "../../../operator/manager/options.ts";

const IMAGE = "registry.example/naru-runtimes@sha256:1";
const needed = ["--runtime-image", IMAGE, "--namespace", "naru-system"];

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** What a command line that makes no sense is answered with. */
function refusal(...args: string[]): string {
  const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  expect(() => readOptions(args, "1.2.3")).toThrow(expect.objectContaining({ exitCode: 1 }));
  return said.mock.calls.map(([text]) => String(text)).join("");
}

describe("the operator's options", () => {
  test("are client-go's and controller-runtime's where they are not given", () => {
    expect(readOptions(needed, "1.2.3")).toEqual({
      runtimeImage: IMAGE,
      namespace: "naru-system",
      leaseNamespace: "naru-system",
      logLevel: "info",
      watchNamespaces: [],
      leaderElect: true,
      timing: { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 },
      concurrency: 8,
      metricsAddress: { host: undefined, port: 8080 },
      healthAddress: { host: undefined, port: 8081 },
      profilingPort: undefined,
    });
  });

  test("are each read from their flag", () => {
    const flags =
      "--log-level debug --watch-namespaces a,b --no-leader-elect --lease-namespace other --concurrency 4 --profiling-port 6060" +
      " --leader-elect-lease-duration 3s --leader-elect-renew-deadline 2000ms --leader-elect-retry-period 1s" +
      " --metrics-address 127.0.0.1:0 --health-address 0 --cluster-domain cluster.local --prometheus-url http://p:9090";
    expect(readOptions([...needed, ...flags.split(" ")], "1.2.3")).toMatchObject({
      logLevel: "debug",
      watchNamespaces: ["a", "b"],
      leaderElect: false,
      leaseNamespace: "other",
      concurrency: 4,
      profilingPort: 6060,
      timing: { leaseDuration: 3000, renewDeadline: 2000, retryPeriod: 1000 },
      metricsAddress: { host: "127.0.0.1", port: 0 },
      healthAddress: undefined,
      clusterDomain: "cluster.local",
      prometheusUrl: "http://p:9090",
    });
  });

  test("come from the environment where there is no flag", () => {
    vi.stubEnv("NARU_RUNTIME_IMAGE", IMAGE);
    vi.stubEnv("POD_NAMESPACE", "from-environment");
    vi.stubEnv("NARU_LOG_LEVEL", "warn");
    vi.stubEnv("NARU_WATCH_NAMESPACES", "c");
    expect(readOptions([], "1.2.3")).toMatchObject({
      runtimeImage: IMAGE,
      namespace: "from-environment",
      logLevel: "warn",
      watchNamespaces: ["c"],
    });
    expect(readOptions(["--namespace", "flag"], "1.2.3").namespace).toBe("flag");
  });

  test("know the namespace that a pod runs in, and say what to do where there is none", () => {
    const folder = mkdtempSync(join(tmpdir(), "naru-options-"));
    const args = ["--runtime-image", IMAGE];
    const unknown = (why: string) =>
      expect.objectContaining({ code: "NamespaceUnknown", message: expect.stringContaining(why) });
    expect(() => readOptions(args, "1.2.3", folder)).toThrow(unknown("no such file"));
    writeFileSync(join(folder, "namespace"), "\n");
    expect(() => readOptions(args, "1.2.3", folder)).toThrow(unknown("is empty"));
    writeFileSync(join(folder, "namespace"), "from-pod\n");
    const own = { namespace: "from-pod", leaseNamespace: "from-pod" };
    expect(readOptions(args, "1.2.3", folder)).toMatchObject(own);
    expect(readOptions([...args, "--service-account-folder", folder], "1.2.3", "/none")).toMatchObject({
      ...own,
      serviceAccountFolder: folder,
    });
  });

  test.each([
    { args: ["--namespace", "a"], says: "--runtime-image" },
    { args: [...needed, "--log-level", "loud"], says: "Allowed choices" },
    { args: [...needed, "--watch-namespaces", "a,B"], says: "B is no name of a namespace" },
    { args: [...needed, "--leader-elect-lease-duration", "15"], says: "such as 15s" },
    { args: [...needed, "--concurrency", "0"], says: "from 1 to 64" },
    { args: [...needed, "--metrics-address", "8080"], says: "8080 is not host:port" },
    { args: [...needed, "--profiling-port", "0.0.0.0:6060"], says: "from 0 to 65535" },
    { args: [...needed, "extra"], says: "too many arguments" },
  ])("refuse $args", ({ args, says }) => {
    expect(refusal(...args)).toContain(says);
  });
});

test.each([
  [":8080", { host: undefined, port: 8080 }],
  ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
  ["[::1]:65535", { host: "::1", port: 65_535 }],
  ["localhost:1", { host: "localhost", port: 1 }],
  ["0", undefined],
])("the address %s", (text, address) => {
  expect(readAddress(text)).toEqual(address);
});

test.each(["8080", ":", ":65536", "::1:80", "a b:80", "[::1]", "a:b"])("no address: %s", (text) => {
  expect(() => readAddress(text)).toThrow(RangeError);
});
