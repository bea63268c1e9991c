import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BehindReads } from "../../src/serve/behind-reads.ts";

describe("what is sent behind the reads of a turn", () => {
  it("is sent in its order once the turn is over, and before the next", async () => {
    const behind = new BehindReads();
    const sent: number[] = [];
    for (let i = 0; i < 5; i++) behind.add({ sendNow: () => sent.push(i) });
    expect(sent).toEqual([]);
    await setImmediate();
    expect(sent).toEqual([0, 1, 2, 3, 4]);
    behind.add({ sendNow: () => sent.push(5) });
    await setImmediate();
    expect(sent).toHaveLength(6);
  });

  it("does not wait for the rest of the turn behind long work, and is sent once", async () => {
    const behind = new BehindReads();
    const sent: number[] = [];
    for (let i = 0; i < 3; i++) behind.add({ sendNow: () => sent.push(i) });
    behind.sendWaiting();
    expect(sent).toEqual([0, 1, 2]);
    behind.add({ sendNow: () => sent.push(3) });
    await setImmediate();
    expect(sent).toEqual([0, 1, 2, 3]);
  });

  it("may have others send while it sends, and each is sent once", async () => {
    const behind = new BehindReads();
    const sent: string[] = [];
    const add = (name: string, more: () => void = () => {}): void =>
      behind.add({
        sendNow: () => {
          sent.push(name);
          more();
        },
      });
    for (let round = 0; round < 3; round++) {
      add("a", () => {
        add("c");
        behind.sendWaiting();
        add("e");
      });
      add("b", () => behind.sendWaiting());
      behind.sendWaiting();
      add("d");
      await setImmediate();
      expect(sent.splice(0)).toEqual(["a", "c", "b", "e", "d"]);
    }
  });

  it("does not wait for more than so many others", async () => {
    const behind = new BehindReads();
    let sent = 0;
    for (let i = 0; i < 40; i++) behind.add({ sendNow: () => sent++ });
    expect(sent).toBe(32);
    await setImmediate();
    expect(sent).toBe(40);
  });
});
