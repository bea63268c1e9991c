/** ONEFOLD_SEED=n runs other bytes. */
import { expect, it } from "vitest";
import { compileViewFold } from "../../../src/fold/compile.ts";
import { packBytes, unpackBytes } from "../../../src/online-store/redis/packed-bytes.ts";
import { randomEvents } from "../../../src/testing/event-generator.ts";
import { randomView } from "../../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../../src/testing/generated-source.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 7);

function expectBack(bytes: Uint8Array, known: number): Uint8Array {
  const packed = packBytes(bytes, known);
  if (Buffer.compare(unpackBytes(packed, known), bytes) !== 0) {
    throw new Error(`seed ${SEED}: ${Buffer.from(bytes).toString("hex")} behind ${known} is not what comes back`);
  }
  return packed;
}

/** Words of every kind that the codes tell apart: zero, near the last, the same as one before, few bytes, any. */
function randomBytes(random: SeededRandom): Uint8Array {
  const words: number[][] = [];
  const word = (): number[] => {
    const before = words.at(-random.integer(1, 12));
    if (before !== undefined && random.oneIn(3)) return [...before];
    if (before !== undefined && random.oneIn(3)) {
      return before.map((byte, i) => (i < random.integer(0, 7) ? random.integer(0, 255) : byte));
    }
    const [from, to] = [random.integer(0, 8), random.integer(0, 8)];
    return Array.from({ length: 8 }, (_, i) => (i >= from && i < to ? random.integer(0, 255) : 0));
  };
  for (let i = random.integer(0, 30); i > 0; i--) words.push(word());
  const tail = Array.from({ length: random.integer(0, 7) }, () => random.integer(0, 255));
  return new Uint8Array([...words.flat(), ...tail]);
}

it("any bytes come back as they were, and take one in eight more at the most", () => {
  const random = new SeededRandom(SEED);
  for (let i = 0; i < 20_000; i++) {
    const known = random.pick([0, 1, -(2 ** 52) + i, i, -0, Number.NaN, Number.POSITIVE_INFINITY]);
    const bytes = randomBytes(random);
    expect(expectBack(bytes, known).length).toBeLessThanOrEqual(1 + Math.ceil((bytes.length * 9) / 8));
  }
  const large = new Uint8Array(3_000_003).map((_, i) => (i * 7919) >> (i % 5));
  expectBack(large, 1);
});

it("states come back as they were, in fewer bytes", () => {
  const random = new SeededRandom(SEED);
  const sizes = { plain: 0, packed: 0 };
  for (let i = 0; i < 300; i++) {
    const fold = compileViewFold(randomView(random), generatedSource, generatedEntity);
    const state = fold.empty();
    for (const event of randomEvents(random, random.pick([1, 3, 20, 200]))) fold.fold(state, event);
    const bytes = fold.encode(state);
    sizes.plain += bytes.length;
    sizes.packed += expectBack(bytes, state.lastOffset).length;
  }
  console.log(JSON.stringify(sizes));
  expect(sizes.packed).toBeLessThan(sizes.plain * 0.75);
});
