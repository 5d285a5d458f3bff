import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openServiceAddresses, type ServiceAddresses } from "../../../lib/http/service-address.ts";

let directory: string;
let addresses: ServiceAddresses | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-hosts-"));
});
afterEach(async () => {
  addresses?.close();
  await rm(directory, { recursive: true });
});

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

test("a Service's name becomes its address; a name that the file doesn't know is left to DNS", async () => {
  const path = join(directory, "hosts.json");
  await writeFile(
    path,
    JSON.stringify({ "digits.default.svc:80": "127.0.0.1:41234", "digits:81": "[::1]:5" }),
  );
  addresses = openServiceAddresses(path);
  expect(addresses.resolve("http://digits.default.svc")).toBe("http://127.0.0.1:41234");
  expect(addresses.resolve("http://digits.default.svc:80/v2/models?x=1")).toBe(
    "http://127.0.0.1:41234/v2/models?x=1",
  );
  expect(addresses.resolve("http://digits:81/")).toBe("http://[::1]:5/");
  expect(addresses.resolve("http://other.default.svc:80")).toBe("http://other.default.svc:80");
});

test("a change of the file is seen, and one that can't be read leaves the last good map", async () => {
  const path = join(directory, "hosts.json");
  const problems: string[] = [];
  addresses = openServiceAddresses(path, (message) => problems.push(message));
  const resolve = () => addresses?.resolve("http://digits:80");
  expect(resolve()).toBe("http://digits:80");

  await replace(path, '{"digits:80":"127.0.0.1:1"}');
  await vi.waitFor(() => expect(resolve()).toBe("http://127.0.0.1:1"), { timeout: 5000, interval: 5 });
  await replace(path, '{"digits:80":');
  await vi.waitFor(() => expect(problems.length).toBeGreaterThan(0), { timeout: 5000, interval: 5 });
  expect(resolve()).toBe("http://127.0.0.1:1");
  await replace(path, '{"digits:80":"127.0.0.1:2"}');
  await vi.waitFor(() => expect(resolve()).toBe("http://127.0.0.1:2"), { timeout: 5000, interval: 5 });
});

test("without a hosts file names are left to DNS", () => {
  addresses = openServiceAddresses(undefined);
  expect(addresses.resolve("http://digits.default.svc:80/v2")).toBe("http://digits.default.svc:80/v2");
});
