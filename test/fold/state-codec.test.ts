/**
 * Bytes that are not a state of this view are refused; no damage makes the decoder do anything else.
 */
import { describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import type { ViewFold } from "../../src/fold/view-fold.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import {
  bytes as bytesType,
  col,
  feature,
  float64,
  foldRow,
  HOUR,
  int64,
  lit,
  readAll,
  SECOND,
  streamOf,
  string,
  time,
  user,
  viewOf,
} from "./definitions.ts";

const columns = { n: int64, x: float64, s: string, raw: bytesType };
const stream = streamOf(columns);
const over = { kind: "time", micros: HOUR } as const;
const features = [
  feature(float64, { fn: "mean", column: "x", over }),
  feature(string, { fn: "last", column: "s", over }),
  feature(bytesType, { fn: "first", column: "raw" }),
];
const noon = time("2026-03-01T12:00:00Z");

function folded(fold: ViewFold<FoldState>): FoldState {
  const state = fold.empty();
  for (let i = 0; i < 300; i++)
    foldRow(fold, state, i, noon + i * SECOND, [i, i / 3, i % 5 === 0 ? null : `s${i}`, Uint8Array.of(i % 256)]);
  return state;
}

describe("encoded states", () => {
  const fold = compileViewFold(viewOf(features), stream, user);
  const bytes = fold.encode(folded(fold));

  it("begin with the version, and end where the state ends", () => {
    expect(bytes[0]).toBe(1);
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    expect(fold.encode(fold.decode(bytes))).toEqual(bytes);
    expect(fold.encode(fold.decode(fold.encode(fold.empty())))).toEqual(fold.encode(fold.empty()));
  });

  it("are copied: neither side's later changes reach the other", () => {
    const lent = bytes.slice();
    const state = fold.decode(lent);
    lent.fill(0xff);
    expect(fold.encode(state)).toEqual(bytes);
    const encoded = fold.encode(state);
    foldRow(fold, state, 1000, noon + HOUR, [1, 1, "x", null]);
    expect(encoded).toEqual(bytes);
  });

  it.each([
    [
      "without objects in its list",
      [
        feature(string, { fn: "last", column: "s" }),
        feature(int64, { fn: "count", over }),
        feature(float64, { fn: "mean", column: "x", over }),
        feature(float64, { fn: "max", column: "x", over }),
      ],
    ],
    ["with objects in its list", features],
  ])("go on as what was encoded, whatever they are decoded over: %s", (_, kinds) => {
    const random = new SeededRandom(7);
    const view = compileViewFold(viewOf(kinds, { exactEvents: 16 }), stream, user);
    const foldNext = (states: readonly FoldState[]): void => {
      const offset = Math.max(0, states[0]!.lastOffset + 1);
      const at = noon + offset * 20 * SECOND - random.integer(0, 9) * 300 * SECOND;
      const row = [offset, offset / 3, `s${offset % 7}`, Uint8Array.of(offset % 256)];
      for (const state of states) foldRow(view, state, offset, at, row);
    };
    let spare: FoldState | null = null;
    for (let round = 0; round < 60; round++) {
      const state = view.empty();
      for (let events = random.integer(0, 400); events > 0; events--) foldNext([state]);
      const encoded = view.encode(state);
      const others: FoldState[] = [view.decode(encoded), view.decode(encoded, spare)];
      for (const other of others) expect(view.encode(other)).toEqual(encoded);
      for (let events = random.integer(0, 150); events > 0; events--) foldNext([state, ...others]);
      for (const other of others) expect(view.encode(other)).toEqual(view.encode(state));
      spare = random.integer(0, 3) === 0 ? null : random.pick(others);
    }
  });

  it("keep bytes values though the caller uses the buffer again", () => {
    const state = fold.empty();
    const buffer = Uint8Array.of(1, 2, 3);
    foldRow(fold, state, 0, noon, [1, 1, "x", buffer]);
    buffer.fill(9);
    expect(readAll(fold, state, noon).values[2]).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("of another definition are refused", () => {
    const others = [
      viewOf(features.slice(0, 2)),
      viewOf([feature(float64, { fn: "sum", column: "x", over }), ...features.slice(1)]),
      viewOf([
        feature(float64, { fn: "mean", column: "x", over: { kind: "time", micros: 2 * HOUR } }),
        ...features.slice(1),
      ]),
      viewOf([
        feature(float64, { fn: "mean", column: "x", over, where: { op: "gt", left: col("n"), right: lit(1) } }),
        ...features.slice(1),
      ]),
      viewOf(features, { exactEvents: 127 }),
      viewOf(features, { forgetAfterMicros: HOUR }),
    ];
    for (const other of others) {
      const otherFold = compileViewFold(other, stream, user);
      expect(() => otherFold.decode(bytes)).toThrow(
        expect.objectContaining({ code: "STATE_CODEC", message: expect.stringContaining("another definition") }),
      );
    }
  });

  it("of the same meaning are accepted, whatever else the definition says", () => {
    const described = features.map((one, i) => ({
      ...one,
      description: "text",
      ttlMicros: HOUR,
      default: null,
      name: `renamed${i}`,
    }));
    const wider = streamOf(
      { ...columns, later: int64 },
      { derived: [{ name: "d", type: int64, expression: col("n") }] },
    );
    const other = compileViewFold(viewOf(described, { ttlMicros: 5 * HOUR, owner: "me", version: 2 }), wider, user);
    expect(other.encode(other.decode(bytes))).toEqual(bytes);
  });

  it("of another version, cut short, or lengthened are refused", () => {
    const wrongVersion = bytes.slice();
    wrongVersion[0] = 2;
    expect(() => fold.decode(wrongVersion)).toThrow(/format version 2, not 1/);
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => fold.decode(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: "STATE_CODEC" }));
    }
    expect(() => fold.decode(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(/1 bytes are left over/);
  });

  it("with random damage either decode to other bytes' state or are refused with STATE_CODEC", () => {
    const random = new SeededRandom(5);
    let refused = 0;
    for (let i = 0; i < 2000; i++) {
      const damaged = bytes.slice();
      const at = random.oneIn(2) ? random.integer(0, 63) : random.integer(0, bytes.length - 1);
      damaged[at]! ^= 1 << random.integer(0, 7);
      try {
        expect(fold.encode(fold.decode(damaged))).not.toEqual(bytes);
      } catch (error) {
        if (!isOnefoldError(error) || error.code !== "STATE_CODEC") throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});
