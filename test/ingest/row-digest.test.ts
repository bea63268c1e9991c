import fc from "fast-check";
import { expect, it } from "vitest";
import { rowDigest } from "../../src/ingest/row-digest.ts";
import type { Value } from "../../src/schema/value.ts";

const scalar = fc.oneof(
  fc.double({ noNaN: true }),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => new Uint8Array(bytes)),
);
const row: fc.Arbitrary<Value[]> = fc.array(fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })), { maxLength: 6 });

it("is the same for the same row, whatever is derived from it and however many null columns follow", () => {
  fc.assert(
    fc.property(row, row, (stored, derived) => {
      const digest = rowDigest(stored, stored.length);
      expect(rowDigest([...structuredClone(stored), ...derived], stored.length)).toBe(digest);
      expect(rowDigest([...stored, null, null], stored.length + 2)).toBe(digest);
    }),
  );
});

it("tells rows apart that differ in one value, its kind or its place", () => {
  const values: Value[] = [
    0,
    1,
    -1,
    2 ** 32,
    2 ** 33,
    1e-300,
    1e15,
    1e15 + 1,
    "",
    "0",
    "1",
    "a",
    "b",
    "ab",
    true,
    false,
  ];
  values.push(new Uint8Array(0), new Uint8Array([0]), new Uint8Array([0, 0]), [], [0], [null], ["a", "b"], ["ab"], [
    [],
  ] as never);
  const rows = values.flatMap((value) => [[value], [null, value], [value, value]]);
  expect(new Set(rows.map((one) => rowDigest(one, one.length))).size).toBe(rows.length);
});

it("spreads many rows over all its values", () => {
  const seen = new Set<number>();
  for (let i = 0; i < 100_000; i++) seen.add(rowDigest([`id-${i}`, 1e15 + i * 1e6, i % 7], 3));
  // Of 100,000 draws from 2^32 values one or two coincide.
  expect(seen.size).toBeGreaterThan(99_985);
});
