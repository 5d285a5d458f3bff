import { describe, expect, test } from "vitest";
import type { ClusterEvent } from "../../../operator/engine/cluster.ts";
import { EventSeries } from "../../../operator/kube/event-series.ts";

const NOW = new Date("2026-01-02T03:04:05Z");
const about = { apiVersion: "v1", kind: "ConfigMap", namespace: "default", name: "a" };
const told = (fields: Partial<ClusterEvent> = {}): ClusterEvent => ({
  about,
  type: "Normal",
  reason: "Tested",
  message: "m",
  ...fields,
});

describe("series of events", () => {
  test("what repeats is one series that counts", () => {
    const series = new EventSeries();
    const first = series.take(told(), NOW, 0);
    const later = new Date("2026-01-02T03:05:00Z");
    expect(series.take(told(), later, 1)).toBe(first);
    expect(first).toMatchObject({ count: 2, first: NOW, last: later });
    expect(series.take(told({ message: "other" }), NOW, 2)).not.toBe(first);
    expect(series.take(told({ type: "Warning" }), NOW, 2)).not.toBe(first);
    expect(series.take(told({ uid: "u" }), NOW, 2)).not.toBe(first);
  });

  test("from the eleventh message that differs they are combined, until they cease for ten minutes", () => {
    const series = new EventSeries();
    const messageAt = (index: number, at: number) =>
      series.take(told({ message: `number ${index}` }), NOW, at)?.message;
    for (let i = 0; i < 10; i++) expect(messageAt(i, 0)).toBe(`number ${i}`);
    expect(messageAt(10, 0)).toBe("(combined from similar events)");
    expect(messageAt(11, 0)).toBe("(combined from similar events)");
    expect(messageAt(3, 0)).toBe("number 3");
    expect(messageAt(12, 600_001)).toBe("number 12");
  });

  test("25 in a burst about one object, then one every five minutes; another object has its own", () => {
    const series = new EventSeries();
    const takes = (at: number, name = "a") =>
      series.take(told({ about: { ...about, name } }), NOW, at) !== undefined;
    expect(Array.from({ length: 30 }, () => takes(0)).filter(Boolean)).toHaveLength(25);
    expect(takes(0, "b")).toBe(true);
    expect(takes(299_000)).toBe(false);
    expect(takes(300_000)).toBe(true);
    expect(takes(300_001)).toBe(false);
  });

  test("names are valid however long the object's is, and differ between series", () => {
    const series = new EventSeries();
    const name = `${"a".repeat(239)}.${"b".repeat(13)}`;
    const names = ["1", "2"].map(
      (message) => series.take(told({ message, about: { ...about, name } }), NOW, 0)?.name ?? "",
    );
    expect(new Set(names).size).toBe(2);
    for (const one of names) {
      expect(one.length).toBeLessThanOrEqual(253);
      expect(one).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    }
  });

  test("a message is cut at 1,024 characters, and never through the middle of one", () => {
    const series = new EventSeries();
    const message = series.take(told({ message: `${"x".repeat(1023)}😀` }), NOW, 0)?.message ?? "";
    expect(message.length).toBe(1024);
    expect(message.isWellFormed()).toBe(true);
  });

  test("what is remembered is bounded", () => {
    const series = new EventSeries();
    const first = series.take(told(), NOW, 0);
    for (let i = 0; i < 4096; i++) series.take(told({ about: { ...about, name: `n${i}` } }), NOW, 0);
    expect(series.take(told(), NOW, 0)).not.toBe(first);
  });
});
