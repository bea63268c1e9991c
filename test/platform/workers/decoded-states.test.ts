import { describe, expect, it } from "vitest";
import { TAIL_HEAD_BYTES } from "../../../src/ingest/event-tail.ts";
import type { ViewFold, ViewState } from "../../../src/fold/view-fold.ts";
import { DecodedStates, type StateTail } from "../../../src/platform/workers/decoded-states.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();

/** Decodes to what says which bytes it was made of, and counts. */
function countingFold(): { fold: ViewFold; decoded(): number } {
  let count = 0;
  const fold = { decode: (bytes: Uint8Array) => ({ text: `${++count && ""}${bytes.join()}` }) };
  return { fold: fold as unknown as ViewFold, decoded: () => count };
}

function textOf(state: ViewState): string {
  return (state as unknown as { text: string }).text;
}

describe("decoded states", () => {
  it("are taken again where the bytes are the same, by another fold never", () => {
    const states = new DecodedStates(1_000_000);
    const [one, other] = [countingFold(), countingFold()];
    const first = states.decode("a", one.fold, Uint8Array.of(1, 2));
    expect(states.decode("a", one.fold, Uint8Array.of(1, 2))).toBe(first);
    expect(textOf(states.decode("a", one.fold, Uint8Array.of(1, 3)))).toBe("1,3");
    states.decode("a", other.fold, Uint8Array.of(1, 3));
    expect([one.decoded(), other.decoded()]).toEqual([2, 1]);
  });

  it("stay where they are asked for again and again, however many others are asked for once", () => {
    const states = new DecodedStates(50_000);
    const { fold, decoded } = countingFold();
    for (let i = 0; i < 5000; i++) {
      states.decode(`once-${i}`, fold, Uint8Array.of(i & 255, i >> 8));
      const before = decoded();
      states.decode("hot", fold, Uint8Array.of(7));
      expect(decoded()).toBe(i === 0 ? before + 1 : before);
    }
  });

  it("are of a copy of bytes that are lent, and of what is in them", () => {
    const states = new DecodedStates(20_000, (bytes) => bytes.subarray(1));
    const { fold, decoded } = countingFold();
    const lent = Uint8Array.of(1, 2, 3);
    expect(textOf(states.decode("a", fold, lent))).toBe("2,3");
    lent[0] = 9;
    expect(textOf(states.decode("a", fold, Uint8Array.of(1, 2, 3)))).toBe("2,3");
    expect(decoded()).toBe(1);
    expect(textOf(states.decode("a", fold, Uint8Array.of(1, 2, 4)))).toBe("2,4");
  });

  it("are decoded anew where a tail could not be folded to its end, and count what they take", () => {
    const states = new DecodedStates(20_000);
    const fold = { decode: (bytes: Uint8Array) => ({ text: bytes.join() }) } as unknown as ViewFold;
    const tail = (isDamaged: boolean, before: number): StateTail => ({
      bytes: new Uint8Array(TAIL_HEAD_BYTES + 1),
      before,
      foldInto: (state) => {
        (state as unknown as { text: string }).text += "+";
        if (isDamaged) throw new Error("damaged");
      },
    });
    states.decode("a", fold, Uint8Array.of(1));
    const size = states.bytes;
    for (const bytes of [Uint8Array.of(1), new Uint8Array(1000), Uint8Array.of(2)]) {
      expect(() => states.decode("a", fold, bytes, tail(true, 1))).toThrow("damaged");
      expect(textOf(states.decode("a", fold, bytes, tail(false, 1)))).toBe(`${bytes.join()}+`);
      expect(() => states.decode("a", fold, bytes, tail(true, 2))).toThrow("damaged");
      expect(textOf(states.decode("a", fold, bytes))).toBe(bytes.join());
    }
    expect(states.bytes).toBe(size);
  });

  it(`are what the bytes say and stay within their memory, whatever is asked (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const bytesMax = 20_000;
    const states = new DecodedStates(bytesMax);
    const { fold, decoded } = countingFold();
    const asked = 20_000;
    for (let i = 0; i < asked; i++) {
      const name = `entity-${random.integer(0, 60)}`;
      const bytes = new Uint8Array(random.integer(1, 120)).fill(random.integer(0, 3));
      expect(textOf(states.decode(name, fold, bytes))).toBe(bytes.join());
      const again = decoded();
      states.decode(name, fold, bytes.slice());
      expect(decoded()).toBe(again);
      expect(states.bytes).toBeLessThanOrEqual(bytesMax);
    }
    expect(states.bytes).toBeGreaterThan(bytesMax / 2);
  });

  it(`count what their tails take, however these grow and are cut (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const bytesMax = 20_000;
    const states = new DecodedStates(bytesMax);
    const { fold } = countingFold();
    const tails = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const name = `entity-${random.integer(0, 60)}`;
      const length = random.oneIn(5) ? 0 : (tails.get(name) ?? 0) + random.integer(0, 100);
      tails.set(name, length);
      const tail = { bytes: new Uint8Array(TAIL_HEAD_BYTES + length), before: i, foldInto: () => {} };
      states.decode(name, fold, Uint8Array.of(1), random.oneIn(10) ? null : tail);
      expect(states.bytes).toBeLessThanOrEqual(bytesMax);
    }
    // One small state with a tail past all room.
    const large = { bytes: new Uint8Array(bytesMax), before: 5000, foldInto: () => {} };
    states.decode("another", fold, Uint8Array.of(1), large);
    expect(states.bytes).toBe(0);
  });
});
