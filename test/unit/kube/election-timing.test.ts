import { expect, test } from "vitest";
import { Election } from "../../../operator/kube/election.ts";
import { MemoryLease } from "../../support/memory-lease.ts";
import { MemoryLog } from "../../support/widgets.ts";

test.each([
  { leaseDuration: 10_000, renewDeadline: 10_000, retryPeriod: 2_000 },
  { leaseDuration: 15_000, renewDeadline: 2_400, retryPeriod: 2_000 },
  { leaseDuration: 15_500, renewDeadline: 10_000, retryPeriod: 2_000 },
  { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 0 },
])("a timing that could have two lead at once is refused: %o", (timing) => {
  const { store } = new MemoryLease();
  expect(() => new Election({ store, identity: "a", log: new MemoryLog(), timing })).toThrow(
    expect.objectContaining({ code: "InvalidLeaseTiming" }),
  );
});
