/**
 * `log1p` against whole-number arithmetic, and at the places where it changes its way.
 */
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../src/testing/random.ts";
import { log1p } from "../../../src/vector/transformations/log1p.ts";
import { ulpsFromLog1p } from "./logarithm-reference.ts";
import { firstSeed } from "../../first-seed.ts";

/** Neighbours of each: where the method changes. */
const EDGES: readonly number[] = [
  2 ** -54,
  2 ** -29,
  2 ** -20,
  Math.SQRT2 - 1,
  Math.SQRT1_2 - 1,
  -(2 ** -54),
  -(2 ** -29),
  -0.5,
  -1 + 2 ** -53,
  1,
  3,
  2 ** 52,
  2 ** 53,
  2 ** 54,
  Number.MAX_VALUE / 2,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2 ** -1022,
];

function neighbours(x: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  return [-3n, -2n, -1n, 0n, 1n, 2n, 3n].map((steps) => {
    view.setFloat64(0, x);
    view.setBigInt64(0, view.getBigInt64(0) + steps);
    return view.getFloat64(0);
  });
}

describe("log1p", () => {
  it("is less than 1 ulp from the logarithm, over all magnitudes", () => {
    const seed = firstSeed();
    const random = new SeededRandom(seed);
    const anywhere = Array.from({ length: 6000 }, () => {
      const size = (1 + random.next()) * 2 ** random.integer(-1060, 1022);
      return random.oneIn(2) ? size : -size;
    });
    const ordinary = Array.from({ length: 14_000 }, () => random.next() * 2 ** random.integer(-8, 24) - random.next());
    const inputs = [...EDGES.flatMap(neighbours), ...anywhere, ...ordinary].filter((x) => x > -1);
    expect(inputs.length).toBeGreaterThan(16_000);
    let worst = { ulps: 0, x: 0 };
    for (const x of inputs) {
      const ulps = Math.abs(ulpsFromLog1p(log1p(x), x));
      if (!(ulps <= worst.ulps)) worst = { ulps, x };
    }
    expect(worst.ulps, `seed ${seed}, x = ${worst.x}`).toBeLessThan(1);
  });

  it("is held against a reference that tells one ulp from the next", () => {
    const view = new DataView(new ArrayBuffer(8));
    for (const x of [1e-300, 1e-9, 0.1, 1, 1e9, 1e300]) {
      view.setFloat64(0, log1p(x));
      view.setBigInt64(0, view.getBigInt64(0) + 2n);
      expect(Math.abs(ulpsFromLog1p(view.getFloat64(0), x))).toBeGreaterThan(1);
    }
  });

  it("never falls as x rises", () => {
    const random = new SeededRandom(7);
    for (let i = 0; i < 20_000; i++) {
      const x = random.next() * 2 ** random.integer(-40, 40) - (random.oneIn(2) ? random.next() : 0);
      if (x <= -1) continue;
      const [a, b] = neighbours(x)
        .slice(3, 5)
        .sort((p, q) => p - q) as [number, number];
      expect(log1p(a)).toBeLessThanOrEqual(log1p(b));
    }
  });

  it.each([
    [0, 0],
    [1, Math.LN2],
    [Math.E - 1, 1],
    [-0.5, -Math.LN2],
    [1e-20, 1e-20],
    [Number.MAX_VALUE, 709.782712893384],
  ])("of %d is %d", (x, expected) => {
    expect(log1p(x)).toBe(expected);
  });

  it("has no finite value from -1 down", () => {
    expect(log1p(-1)).toBe(Number.NEGATIVE_INFINITY);
    expect(log1p(-1.5)).toBeNaN();
    expect(log1p(Number.NEGATIVE_INFINITY)).toBeNaN();
    expect(log1p(Number.NaN)).toBeNaN();
    expect(log1p(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});
