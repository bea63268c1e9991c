/** What waits to be delivered: who is next, who is tried again when, who gives way. */
import { describe, expect, it } from "vitest";
import { testNotice } from "../../../src/monitor/alerts/notice.ts";
import {
  afterFailure,
  dueNow,
  idOf,
  type Undelivered,
  WAITING_MAX,
  withAdded,
} from "../../../src/monitor/alerts/outbox.ts";

const entry = (id: string, more: Partial<Undelivered> = {}): Undelivered => ({
  notice: testNotice(id, 0),
  destination: "a",
  chain: id,
  createdMicros: 0,
  attempts: 0,
  nextMicros: 0,
  lastError: null,
  ...more,
});
const ids = (entries: readonly Undelivered[]): string[] => entries.map(({ notice }) => notice.id);
const DAY = 86_400e6;

describe("the outbox", () => {
  it("sends those of one subject one after the other, and of others beside, four to a destination", () => {
    const outbox = [
      entry("1", { chain: "x", nextMicros: 100 }),
      entry("2", { chain: "x" }),
      entry("3", { chain: "x", destination: "b" }),
      ...["4", "5", "6", "7", "8"].map((id) => entry(id)),
    ];
    expect(ids(dueNow(outbox, new Set(), 50))).toEqual(["3", "4", "5", "6", "7"]);
    expect(ids(dueNow(outbox, new Set(outbox.slice(3, 6).map(idOf)), 50))).toEqual(["3", "7"]);
    expect(ids(dueNow(outbox, new Set(outbox.slice(3).map(idOf)), 100))).toEqual(["3"]);
    expect(ids(dueNow(outbox.slice(0, 2), new Set(), 100))).toEqual(["1"]);
  });

  it("waits longer each time, from 1 to 2 seconds up to ten minutes, and tries last when it gives up", () => {
    let one: Undelivered | null = entry("1");
    const waits: number[] = [];
    let now = 0;
    while (one !== null) {
      const options = { giveUpMicros: DAY, nowMicros: now, random: 1 };
      const next: Undelivered | null = afterFailure(one, "no", options);
      if (next !== null) {
        waits.push((next.nextMicros - now) / 1e6);
        expect(afterFailure(one, "no", { ...options, random: 0 })!.nextMicros - now).toBeLessThanOrEqual(
          next.nextMicros - now,
        );
        now = next.nextMicros;
      }
      one = next;
    }
    expect(waits.slice(0, 10)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
    expect(Math.max(...waits)).toBe(600);
    expect(now).toBe(DAY);
  });

  it("leaves who asks for it alone, for an hour at most", () => {
    const options = { giveUpMicros: DAY, nowMicros: 0, random: 0 };
    expect(afterFailure(entry("1"), "no", { ...options, askedMicros: 60e6 })!.nextMicros).toBe(60e6);
    expect(afterFailure(entry("1"), "no", { ...options, askedMicros: DAY })!.nextMicros).toBe(3600e6);
  });

  it("is bounded: of a destination with too many the oldest give way", () => {
    const many = Array.from({ length: WAITING_MAX }, (_, i) => entry(String(i)));
    const other = entry("other", { destination: "b" });
    const { outbox, dropped } = withAdded(
      [other, ...many],
      [entry("new 1"), entry("new 2"), entry("b", { destination: "b" })],
    );
    expect(ids(dropped)).toEqual(["0", "1"]);
    expect(outbox).toHaveLength(WAITING_MAX + 2);
    expect(ids(outbox.slice(-3))).toEqual(["new 1", "new 2", "b"]);
  });
});
