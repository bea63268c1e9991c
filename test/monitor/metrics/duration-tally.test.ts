import { Histogram, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { histogramLines } from "../../../src/monitor/metrics/duration-tally.ts";
import { RequestTally } from "../../../src/monitor/metrics/request-tally.ts";
import { VectorTally } from "../../../src/monitor/metrics/vector-tally.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

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
      get: async () => ({ ...metric, values: histogramLines("seconds", "service", tally.durations) }),
    } as unknown as Histogram);
    const sorted = async (page: Registry): Promise<string[]> => lines(await page.metrics()).sort();
    expect(await sorted(own)).toEqual(await sorted(registry));
    expect(await sorted(own)).toHaveLength(12);
    expect([...tally.statuses]).toEqual([2000, 0, 1000]);
    expect(tally.kept("a") + tally.kept("b")).toBe(250);
  });
});

describe("a tally of requests", () => {
  it("counts by method, route and status, and times by route", () => {
    const tally = new RequestTally([0.001, 1]);
    tally.add("POST", "/a", 200, 0.0009765625);
    tally.add("POST", "/a", 200, 0.5);
    tally.add("POST", "/a", 404, 2);
    tally.add("GET", "/b", 200, 0.001);
    expect([...tally.counted()]).toEqual([
      { method: "POST", route: "/a", status: 200, count: 2 },
      { method: "POST", route: "/a", status: 404, count: 1 },
      { method: "GET", route: "/b", status: 200, count: 1 },
    ]);
    const lines = histogramLines("s", "route", tally.durations).filter(({ labels }) => labels["route"] === "/a");
    expect(lines.map(({ metricName, labels, value }) => [metricName, labels["le"], value])).toEqual([
      ["s_bucket", 0.001, 1],
      ["s_bucket", 1, 2],
      ["s_bucket", "+Inf", 3],
      ["s_sum", undefined, 2.5009765625],
      ["s_count", undefined, 3],
    ]);
  });
});
