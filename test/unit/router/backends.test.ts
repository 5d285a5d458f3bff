import { afterEach, describe, expect, it } from "vitest";
import { httpConfig } from "../../../lib/config/inference.ts";
import { openServiceAddresses } from "../../../lib/http/service-address.ts";
import { Backends } from "../../../runtimes/router/backends.ts";

describe("connections to backends", () => {
  const backends = new Backends(openServiceAddresses(undefined), () => undefined);
  const http = httpConfig.parse({});
  const service = { http: "http://digits-canary.default.svc:80" };

  afterEach(() => backends.destroy());

  it("go on while their owner stays", () => {
    expect(backends.get(service, http, "stable 7f3c")).toBe(backends.get(service, http, "stable 7f3c"));
  });

  it("are never shared by two canaries behind one Service", () => {
    const first = backends.get(service, http, "canary 7f3c");
    expect(backends.get(service, http, "canary 91aa")).not.toBe(first);
  });
});
