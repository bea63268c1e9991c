/** Entities by their last events, kept up as they move: as a count of all of them, one by one, gives it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventTimeCells } from "../../src/ingest/event-time-cells.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const SECOND = 1_000_000;
const BASE = Date.UTC(2026, 10, 26) * 1000;

/** How long ago, from microseconds to decades, and a little ahead of the clock. */
const ago = fc.oneof(
  fc.integer({ min: -60 * SECOND, max: 120 * SECOND }),
  fc.double({ min: 0, max: 15, noNaN: true }).map((power) => Math.floor(10 ** power)),
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ entity: fc.integer({ min: 0, max: 30 }), ago: fc.option(ago, { freq: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ later: ago.map(Math.abs) }) },
  { weight: 1, arbitrary: fc.record({ stored: fc.constant(true) }) },
  { weight: 3, arbitrary: fc.record({ asked: ago }) },
);

/** What was stored, as a restart reads it. */
function reopened(cells: EventTimeCells, levels: Map<number, readonly number[]>): EventTimeCells {
  for (const [level, changed] of cells.takeChanged()) levels.set(level, changed);
  const opened = new EventTimeCells(cells.horizon);
  for (const [level, stored] of levels) opened.load(level, stored);
  return opened;
}

describe("entities by the time of their last event", () => {
  it("are counted as one by one, at an edge within 1/64 of the age asked for, whatever moves, is joined and restarted", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 200 }), (steps) => {
        let now = BASE;
        let cells = new EventTimeCells(now);
        const levels = new Map<number, readonly number[]>();
        const times = new Map<number, number>();
        for (const one of steps) {
          if ("entity" in one) {
            const to = one.ago === null ? Number.NEGATIVE_INFINITY : now - one.ago;
            cells.move(times.get(one.entity) ?? Number.NEGATIVE_INFINITY, to);
            times.set(one.entity, to);
          } else if ("later" in one) {
            now += one.later;
            cells.advance(now);
          } else if ("stored" in one) cells = reopened(cells, levels);
          else {
            const time = now - one.asked;
            const { count, edge } = cells.before(time);
            const naive = [...times.values()].filter((each) => Number.isFinite(each) && each < edge).length;
            expect(count).toBe(naive);
            expect(time - edge).toBeGreaterThanOrEqual(0);
            expect(time - edge).toBeLessThan(Math.max(2 ** 20, (cells.horizon - edge) / 64));
          }
        }
        expect(cells.total).toBe([...times.values()].filter(Number.isFinite).length);
        // As few as say so much: at most 64 and a little of each level.
        for (const [, stored] of levels) expect(stored.length / 2).toBeLessThanOrEqual(64 * 3);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("take few cells, however many entities there are and however long ago they had events", () => {
    const cells = new EventTimeCells(BASE);
    for (let i = 0; i < 200_000; i++) cells.move(Number.NEGATIVE_INFINITY, BASE - Math.floor(10 ** (i / 13_334)));
    const stored = [...cells.takeChanged().values()].map((pairs) => pairs.length / 2);
    expect(stored.reduce((sum, count) => sum + count, 0)).toBeLessThan(2000);
    // A year on, without an event.
    cells.advance(BASE + 365 * 86_400 * SECOND);
    const later = [...cells.takeChanged().values()].map((pairs) => pairs.length / 2);
    expect(later.reduce((sum, count) => sum + count, 0)).toBeLessThan(500);
    expect(cells.total).toBe(200_000);
  });
});
