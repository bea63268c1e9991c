import { Histogram, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { histogramLines, VectorTally } from "../../src/monitor/vector-tally.ts";
import { SeededRandom } from "../../src/testing/random.ts";

describe("a tally of vectors", () => {
  it("is the histogram that the metrics library counts itself", async () => {
    const bounds = [0.001, 0.01, 0.1];
    const tally = new VectorTally(bounds, 3);
    const registry = new Registry();
    const histogram = new Histogram({
      name: "seconds",
      help: "time",
      labelNames: ["service"],
      buckets: bounds,
      registers: [registry],
    });
    const random = new SeededRandom(11);
    for (let i = 0; i < 1000; i++) {
      const seconds = random.oneIn(10) ? random.pick(bounds) : random.next() / 4;
      const service = random.pick(["a", "b"]);
      tally.add(service, seconds, [0, 0, 2], i % 4 === 0);
      histogram.observe({ service }, seconds);
    }
    const lines = (text: string): string[] => text.split("\n").filter((line) => line.startsWith("seconds"));
    const own = new Registry();
    const metric = { name: "seconds", help: "time", type: "histogram" };
    own.registerMetric({
      ...metric,
      get: async () => ({ ...metric, values: histogramLines("seconds", tally) }),
    } as unknown as Histogram);
    const sorted = async (page: Registry): Promise<string[]> => lines(await page.metrics()).sort();
    expect(await sorted(own)).toEqual(await sorted(registry));
    expect(await sorted(own)).toHaveLength(12);
    expect([...tally.statuses]).toEqual([2000, 0, 1000]);
    expect([...tally.services()].reduce((total, { kept }) => total + kept, 0)).toBe(250);
  });
});
