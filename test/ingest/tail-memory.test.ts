/** Places of tails in memory: each its tail's own, whatever comes and goes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TailMemory, type TailPlaceInMemory } from "../../src/ingest/tail-memory.ts";
import { firstSeed } from "../first-seed.ts";

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ take: fc.oneof(fc.nat(700), fc.nat(70_000), fc.nat(3_000_000)) }) },
  { weight: 2, arbitrary: fc.record({ leave: fc.nat() }) },
);

describe("memory for tails", () => {
  it("gives places that hold what was asked for, none of which lies in another", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new TailMemory();
        const held: { readonly place: TailPlaceInMemory; readonly mark: number }[] = [];
        let marks = 0;
        for (const one of steps) {
          if ("take" in one) {
            const place = memory.take(one.take);
            expect(place.room).toBeGreaterThanOrEqual(one.take);
            expect(place.at + place.room).toBeLessThanOrEqual(place.block.length);
            const mark = ++marks % 251;
            place.block.fill(mark, place.at, place.at + place.room);
            held.push({ place, mark });
          } else if (held.length > 0) {
            const [left] = held.splice(one.leave % held.length, 1);
            memory.leave(left!.place);
          }
        }
        for (const { place, mark } of held) {
          const { block, at, room } = place;
          expect(block.subarray(at, at + room).every((byte) => byte === mark)).toBe(true);
        }
      }),
      { seed: firstSeed(), numRuns: 60 },
    );
  });

  it("is used again by what comes later", () => {
    const memory = new TailMemory();
    const blocks = new Set<Buffer>();
    for (let i = 0; i < 20_000; i++) {
      const place = memory.take(100 + (i % 900));
      blocks.add(place.block);
      memory.leave(place);
    }
    expect(blocks.size).toBe(1);
  });
});
