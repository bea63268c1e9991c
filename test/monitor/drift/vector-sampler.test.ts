/** ONEFOLD_SEED=n runs other gaps. */
import { describe, expect, it } from "vitest";
import { mergeWindows } from "../../../src/monitor/drift/drift-window.ts";
import { VectorSampler } from "../../../src/monitor/drift/vector-sampler.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 29);
const HOUR = 3_600_000_000;
const of = {
  service: "s",
  fit: null,
  columns: [
    { name: "n", view: "v@1", type: { name: "int64" } },
    { name: "c", view: "v@1", type: { name: "bool" } },
    { name: "t", view: "v@1", type: { name: "timestamp" } },
  ],
} as const;

describe("a sampler of vectors", () => {
  it(`looks at its part of them, whatever their rhythm (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (const rate of [1, 0.5, 0.1, 0.01]) {
      const sampler = new VectorSampler(rate, () => random.next());
      const count = Math.ceil(2000 / rate);
      for (let i = 0; i < count; i++) if (--sampler.left <= 0) sampler.see(of, [i % 10, null, null], 0);
      const { vectors, features } = mergeWindows(sampler.take());
      // Gaps are uniform, so their number is off by less than 0.6 of its root: six times that.
      expect(Math.abs(vectors - 2000)).toBeLessThanOrEqual(rate === 1 ? 0 : 6 * 0.6 * Math.sqrt(2000));
      const [numbers] = features;
      const { keys, counts } = (numbers!.profile as { bins: { keys: Float64Array; counts: Float64Array } }).bins;
      expect(keys).toHaveLength(10);
      // Requests in rounds of ten: each of them is seen as often as the others.
      for (const each of counts) expect(Math.abs(each - 200)).toBeLessThan(100);
    }
  });

  it("keeps hours, services and kinds of values apart, and gives each away once", () => {
    const sampler = new VectorSampler(1, () => 0);
    const other = { ...of, fit: 2 };
    sampler.see(of, [1, true, 5], HOUR - 1);
    sampler.see(of, [null, false, null], HOUR - 1);
    sampler.see(other, [2, true, 5], HOUR - 1);
    sampler.see(of, [3, null, 5], HOUR);
    const windows = sampler.take();
    expect(windows.map(({ fit, startMicros, vectors }) => [fit, startMicros, vectors])).toEqual([
      [null, 0, 2],
      [null, HOUR, 1],
      [2, 0, 1],
    ]);
    const [first] = windows;
    expect(
      first!.features.map(({ isInteger, profile: { kind, count, missing } }) => [isInteger, kind, count, missing]),
    ).toEqual([
      [true, "numeric", 1, 1],
      [false, "category", 2, 0],
      [false, "presence", 1, 1],
    ]);
    expect(sampler.take()).toEqual([]);
  });
});
