/** Packed states: what is found is what was put last, and all of it takes no more memory than there is. */
import { describe, expect, it } from "vitest";
import { PackedStates } from "../../src/ingest/packed-states.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

function bytesOf(random: SeededRandom): Uint8Array {
  const length = random.oneIn(30) ? random.integer(3000, 9000) : random.integer(1, 400);
  return new Uint8Array(length).fill(random.integer(0, 255));
}

describe("packed states", () => {
  it("are those that were put last, whatever was let go, grew, or was put out", () => {
    for (let round = 0; round < 20; round++) {
      const seed = firstSeed() + round;
      const random = new SeededRandom(seed);
      let bytesMax = random.integer(2000, 200_000);
      const countMax = random.oneIn(2) ? 1e6 : random.integer(1, 100);
      const packed = new PackedStates({ countMax, bytesMax: () => bytesMax });
      const put = new Map<string, { readonly bytes: Uint8Array; readonly note: number }>();
      let found = 0;
      for (let step = 0; step < 3000; step++) {
        const key = `k${random.integer(0, 150)}`;
        if (random.oneIn(3)) {
          const one = { bytes: bytesOf(random), note: step };
          packed.put(key, one.bytes, one.note);
          put.set(key, one);
        } else if (random.oneIn(20)) {
          packed.delete(key);
          put.delete(key);
        } else if (random.oneIn(200)) bytesMax = random.integer(2000, 200_000);
        const bytes = packed.get(key);
        if (packed.has(key) !== (bytes !== null)) throw new Error(`seed ${seed}: ${key} is there and is not found`);
        if (packed.count > countMax) throw new Error(`seed ${seed}: ${packed.count} are kept, of at most ${countMax}`);
        if (bytes === null) continue;
        found++;
        const wanted = put.get(key);
        if (wanted === undefined || Buffer.compare(bytes, wanted.bytes) !== 0 || packed.note !== wanted.note)
          throw new Error(`seed ${seed}: ${key} is not what was put last`);
      }
      expect(found, `seed ${seed}`).toBeGreaterThan(0);
    }
  });

  it("stay where there is room for all, and are let go where there is none", () => {
    const bytesMax = 1_000_000;
    const packed = new PackedStates({ countMax: 1e6, bytesMax: () => bytesMax });
    const state = new Uint8Array(900);
    let count = 0;
    for (; !packed.isFull; count++) packed.put(`k${count}`, state, 0);
    expect(count * 1000).toBeGreaterThan(bytesMax * 0.8);
    expect(count * 900).toBeLessThan(bytesMax);
    for (let i = 0; i < 10 * count; i++) {
      packed.put(`l${i}`, state, 0);
      // What is asked for again and again stays.
      if (packed.get("k1000") === null) packed.put("k1000", state, 0);
    }
    expect(packed.has("k1000")).toBe(true);
    expect(packed.count * 900).toBeLessThan(bytesMax);
  });
});
