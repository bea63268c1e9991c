import { Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startProgress } from "../../src/cli/progress.ts";

class Screen extends Writable {
  readonly columns = 120;
  readonly isTTY: boolean;
  text = "";

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

describe("progress", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  it("elsewhere than on a terminal is a line every few seconds, and nothing for short work", () => {
    const screen = new Screen(false);
    const progress = startProgress("import", screen);
    progress.update({ phase: "reading", done: 0, total: 4000 });
    vi.advanceTimersByTime(2900);
    progress.update({ phase: "reading", done: 2900, total: 4000 });
    expect(screen.text).toBe("");
    vi.advanceTimersByTime(200);
    progress.update({ phase: "reading", done: 3100, total: 4000 });
    progress.update({ phase: "reading", done: 3200, total: 4000 });
    expect(screen.text).toBe("import: reading 3,100 of 4,000, 1,000/s, 1 s left\n");
    progress.stop();
  });

  it("counts each phase's rate from its own beginning", () => {
    const screen = new Screen(false);
    const progress = startProgress("import", screen);
    progress.update({ phase: "reading", done: 0, total: 10 });
    vi.advanceTimersByTime(10_000);
    progress.update({ phase: "sorting", done: 0, total: null });
    vi.advanceTimersByTime(4000);
    progress.update({ phase: "sorting", done: 8000, total: null });
    expect(screen.text.split("\n").at(-2)).toBe("import: sorting 8,000, 2,000/s");
  });

  it("counts work that is gone on with from where it was", () => {
    const screen = new Screen(false);
    const progress = startProgress("train", screen);
    progress.update({ phase: "events", done: 6000, total: 10_000 });
    vi.advanceTimersByTime(4000);
    progress.update({ phase: "events", done: 8000, total: 10_000 });
    expect(screen.text).toBe("train: events 8,000 of 10,000, 500/s, 4 s left\n");
  });

  it("on a terminal is a bar with rate and time left, taken away at the end", () => {
    const screen = new Screen(true);
    const progress = startProgress("train", screen);
    progress.update({ phase: "events", done: 0, total: 1000 });
    vi.advanceTimersByTime(1000);
    progress.update({ phase: "events", done: 250, total: 1000 });
    vi.advanceTimersByTime(200);
    expect(screen.text).toMatch(/train: events [█░]+ 25% of 1,000, \d+\/s, \d+ s left/);
    progress.stop();
    vi.advanceTimersByTime(1000);
    expect(screen.text.endsWith("\n")).toBe(false);
  });
});
