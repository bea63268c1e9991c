/**
 * Values that are not numbers, in cells: each is read as it was put, wherever it is moved and whatever takes its place.
 */
import { describe, expect, it } from "vitest";
import {
  openValues,
  PlacedValue,
  putValues,
  settleValues,
  valueCellsMin,
  valueOf,
  valueRoomCells,
} from "../../src/fold/placed-values.ts";
import type { Value } from "../../src/schema/value.ts";

const VALUES: readonly Value[] = [
  null,
  "",
  "a",
  "C39",
  "abcdef",
  "abcdefg",
  "\0",
  "\0\u0001",
  "Ā\0",
  "ÿ\u0080",
  "déjà vu",
  "日本語です",
  "😀",
  "x\ud800",
  "\udfff\udc00\ud800",
  "x".repeat(48),
  "x".repeat(49),
  "é".repeat(10_000),
  "語".repeat(24),
  "語".repeat(10_001),
  "-9223372036854775808",
  Uint8Array.of(),
  Uint8Array.of(0, 255, 7, 0, 0, 0, 0),
  new Uint8Array(1000).fill(255),
  [],
  ["x", null, "\ud800", [1.5, Number.NaN, -0], true],
];

function open(cells: Float64Array, at: number, count: number): { objects: unknown[]; placed: PlacedValue[] } {
  const placed = Array.from({ length: count }, () => new PlacedValue());
  const objects: unknown[] = placed.map(() => null);
  openValues(objects, placed, cells, at);
  return { objects, placed };
}

function placedAlone(value: Value, hasRoom: boolean): { objects: unknown[]; placed: PlacedValue[] } {
  const cells = new Float64Array(valueCellsMin([value]) + (hasRoom ? valueRoomCells([value]) : 0));
  expect(putValues([value], cells, 0, hasRoom)).toBe(cells.length);
  return open(cells, 0, 1);
}

describe("a value in cells", () => {
  it("is what was put, together with others and moved to other cells, twice read", () => {
    const size = valueCellsMin(VALUES) + valueRoomCells(VALUES);
    const cells = new Float64Array(7 + size);
    expect(putValues(VALUES, cells, 7, true)).toBe(cells.length);
    const { objects } = open(cells, 7, VALUES.length);
    expect(objects.map(valueOf)).toEqual(VALUES);
    const moved = new Float64Array(3 + valueCellsMin(objects));
    expect(putValues(objects, moved, 3, false)).toBe(moved.length);
    cells.fill(1);
    const { objects: others } = open(moved, 3, VALUES.length);
    expect(others.map(valueOf)).toEqual(VALUES);
    expect(others.map(valueOf)).toEqual(VALUES);
  });

  it("is another's once that is settled in its place, and has none where it is too long", () => {
    for (const [i, before] of VALUES.entries()) {
      for (const after of VALUES) {
        const { objects, placed } = placedAlone(before, i % 2 === 0);
        const fits = valueCellsMin([after]) <= 2 + placed[0]!.roomCells;
        objects[0] = after;
        expect(settleValues(objects, placed)).toBe(fits);
        expect(valueOf(objects[0])).toEqual(after);
        if (fits) expect(placed[0]!.value).toEqual(after);
      }
    }
  });

  it("is not taken for one of other characters that has the same bytes", () => {
    const texts = ["Ā\0", "\0\u0001", "\u0001\0", "\u0100\u0000a", "\0\u0001a"];
    for (const text of [...texts, ...texts.toReversed()]) expect(placedAlone(text, false).placed[0]!.value).toBe(text);
  });

  it("takes six bytes a cell beside two, or three characters where any has more than a byte", () => {
    expect(valueCellsMin([null])).toBe(2);
    expect(valueCellsMin(["abcdef"])).toBe(3);
    expect(valueCellsMin(["é".repeat(7)])).toBe(4);
    expect(valueCellsMin(["語語語"])).toBe(3);
    expect(valueCellsMin(["語語語語", "a"])).toBe(7);
  });
});
