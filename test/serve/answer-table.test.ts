import { describe, expect, it } from "vitest";
import { AnswerTable, NONE } from "../../src/serve/answer-table.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();

/** Places under a hash. */
function placesOf(table: AnswerTable, hash: number): number[] {
  const row = table.rowOf(hash);
  const places: number[] = [];
  for (let pair = row; pair < table.endOf(row); pair += 2)
    if (table.pairs[pair] === hash && table.pairs[pair + 1] !== NONE) places.push(table.pairs[pair + 1]!);
  return places.sort((a, b) => a - b);
}

const youngest = (place: number): number => 1_000_000 - place;

describe("the table of kept answers", () => {
  it(`finds all that was put into it and not removed, as it grows (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const table = new AnswerTable(100_000);
    const model = new Map<number, Set<number>>();
    for (let place = 0; place < 20_000; place++) {
      // Now and then two of the same hash.
      const hash = random.integer(-(2 ** 31), 2 ** 31 - 1) & (random.oneIn(50) ? 0xff : -1);
      const places = model.get(hash) ?? new Set();
      if (places.size === 4) continue;
      model.set(hash, places.add(place));
      table.put(hash, place, youngest);
      if (!random.oneIn(4)) continue;
      const [other, ofOther] = random.pick([...model].slice(-20));
      for (const one of ofOther) table.remove(other, one);
      model.delete(other);
    }
    for (const [hash, places] of model) expect(placesOf(table, hash)).toEqual([...places]);
    table.clear();
    for (const hash of model.keys()) expect(placesOf(table, hash)).toEqual([]);
  });

  it("takes as much memory as what is in it needs, and no more than what it may have", () => {
    const table = new AnswerTable(2 ** 20);
    const bytesAt = [1, 1000, 100_000].map((count) => {
      for (let place = 0; place < count; place++) table.put(Math.imul(place, 0x9e3779b1), place, youngest);
      return table.pairs.byteLength;
    });
    expect(bytesAt[0]).toBeLessThanOrEqual(1024);
    expect(bytesAt[1]).toBeLessThanOrEqual(1000 * 128);
    expect(bytesAt[2]).toBeLessThanOrEqual(100_000 * 128);
    const small = new AnswerTable(1000);
    for (let place = 0; place < 100_000; place++) small.put(Math.imul(place, 0x9e3779b1), place, youngest);
    expect(small.pairs.byteLength).toBeLessThanOrEqual(16 * 1024);
  });

  it("gives the place of the oldest of a row to a new one, once there is no more room", () => {
    const table = new AnswerTable(100_000);
    for (let place = 0; place < 12; place++) table.put(5, place, youngest);
    expect(placesOf(table, 5)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    // Whose place was given away is not there to be removed.
    table.remove(5, 3);
    expect(placesOf(table, 5)).toHaveLength(8);
    table.remove(5, 7);
    expect(placesOf(table, 5)).toEqual([4, 5, 6, 8, 9, 10, 11]);
  });
});
