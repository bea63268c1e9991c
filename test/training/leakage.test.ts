/** What final knowledge would have changed: held against the two training sets that it compares. */
import { mkdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatMicros, parseMicros } from "../../src/base/micros.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { explainLeakage, type LeakageReport } from "../../src/training/leakage.ts";
import { definitions, flight } from "./flights.ts";
import { errorOf, minute, rowsOf, TrainingWorld } from "./training-world.ts";

describe("what leaking would have cost", () => {
  let world: TrainingWorld;
  beforeAll(async () => {
    world = await TrainingWorld.open(definitions);
  });
  afterAll(() => world.close());

  const report = (labels: string, more: { out?: string; examplesKept?: number } = {}): Promise<LeakageReport> =>
    explainLeakage({ ports: world.ports, service: "model", labels: { path: labels }, boundary: "inclusive", ...more });

  it("is said by feature: rows, share, mean difference, and the rows that change most", async () => {
    await world.live("flights", [
      flight("A", "B", 1, 10, { plane: "N1" }),
      flight("A", "B", 10, 30, { happenedAt: 3, plane: "N2" }),
      flight("C", "D", 20, 5, { happenedAt: 4 }),
      flight("A", "B", 60, 0, { plane: "N3" }),
    ]);
    const labels = await world.file(
      "csv",
      [
        "origin,destination,t",
        `A,B,${formatMicros(minute(5))}`,
        `A,B,${formatMicros(minute(15))}`,
        `C,D,${formatMicros(minute(6))}`,
        `X,Y,${formatMicros(minute(6))}`,
      ].join("\n"),
    );
    const { features, ...whole } = await report(labels);
    expect(whole).toMatchObject({ services: ["model"], rows: 4, rowsChanged: 2, out: null });
    const byName = new Map(features.map((feature) => [feature.name, feature]));
    expect(byName.get("delay_sum")).toEqual({
      name: "delay_sum",
      service: "model",
      view: "route_flights@1",
      type: "float64",
      rowsChanged: 2,
      share: 0.5,
      rowsWithOneValue: 1,
      meanAbsoluteDifference: 30,
      examples: [
        {
          row: 3,
          time: formatMicros(minute(6)),
          keys: { route: "C|D", airport: "C" },
          asKnown: null,
          final: 5,
          asKnownStatus: "NOT_FOUND",
          finalStatus: "PRESENT",
        },
        {
          row: 1,
          time: formatMicros(minute(5)),
          keys: { route: "A|B", airport: "A" },
          asKnown: 10,
          final: 40,
          asKnownStatus: "PRESENT",
          finalStatus: "PRESENT",
        },
      ],
    });
    expect(byName.get("plane")).toMatchObject({ rowsChanged: 1, meanAbsoluteDifference: null, rowsWithOneValue: 0 });
    expect(byName.get("plane")!.examples[0]).toMatchObject({ row: 1, asKnown: "N1", final: "N2" });
    expect(byName.get("mean_delay")).toMatchObject({ rowsChanged: 2, meanAbsoluteDifference: 10 });
    expect((await report(labels, { examplesKept: 0 })).features.flatMap(({ examples }) => examples)).toEqual([]);
  });

  it("counts what the two sets differ in, whatever the events, and writes the set as known", async () => {
    const random = new SeededRandom(20_261_126);
    const places = ["P", "Q"];
    const events = Array.from({ length: 150 }, (_, i) => {
      const known = 100 + i;
      const happenedAt = random.oneIn(3) ? known - random.integer(1, 40) : known;
      return flight(random.pick(places), "R", known, random.integer(-9, 40) / 4, { happenedAt });
    });
    await world.live("flights", events);
    const rows = Array.from(
      { length: 120 },
      () => `${random.pick(places)},R,${formatMicros(minute(random.integer(95, 249)))}`,
    );
    const labels = await world.file("csv", ["origin,destination,t", ...rows].join("\n"));
    const out = world.path("as-known.csv");
    const { features, rowsChanged, manifest } = await report(labels, { out });
    const known = await world.train(labels, { boundary: "inclusive", out: world.path("plain.csv") });
    const final = await world.train(labels, { boundary: "inclusive", knowledge: "final" });
    const [a, b] = [rowsOf(known), rowsOf(final)];
    const differs = a.map((row, i) =>
      row.map((value, slot) => {
        const other = b[i]![slot];
        const isClose = typeof value === "number" && typeof other === "number" && Math.abs(value - other) < 1e-6;
        return !isClose && JSON.stringify(value) !== JSON.stringify(other);
      }),
    );
    expect(rowsChanged).toBe(differs.filter((row) => row.includes(true)).length);
    expect(rowsChanged).toBeGreaterThan(20);
    features.forEach((feature, slot) => {
      // Delays are in quarters: what differs differs by more than rounding.
      expect([feature.name, feature.rowsChanged]).toEqual([
        feature.name,
        differs.filter((row) => row[slot] === true).length,
      ]);
    });
    expect(await readFile(out, "utf8")).toBe(await readFile(world.path("plain.csv"), "utf8"));
    expect(manifest).toMatchObject({ knowledge: "as-known", output: { path: out } });
  });

  it("compares whole numbers and times exactly, however large they are", async () => {
    const due = parseMicros("2026-05-01T00:00:00Z");
    await world.live("flights", [
      flight("L", "M", 260, 1, { seats: 5_000_000_000_000, due }),
      flight("L", "M", 270, 1, { happenedAt: 261, seats: 100, due: due + 1_000_000 }),
      flight("L", "M", 275, 0),
    ]);
    const labels = await world.file("csv", `origin,destination,t\nL,M,${formatMicros(minute(265))}\n`);
    const { features } = await report(labels);
    const byName = new Map(features.map((feature) => [feature.name, feature]));
    expect(byName.get("seats")).toMatchObject({ rowsChanged: 1, meanAbsoluteDifference: 100 });
    expect(byName.get("due")).toMatchObject({ rowsChanged: 1, meanAbsoluteDifference: 1_000_000 });
  });

  it("refuses a file that cannot be written before it computes anything", async () => {
    const labels = await world.file("csv", `origin,destination,t,plane\nL,M,${formatMicros(minute(265))},N1\n`);
    const taken = world.path("taken.parquet");
    await mkdir(taken);
    const phases: string[] = [];
    const refused = (out: string): Promise<{ code: string; message: string }> =>
      errorOf(
        explainLeakage({
          ports: world.ports,
          service: "model",
          labels: { path: labels },
          boundary: "inclusive",
          out,
          onProgress: ({ phase }) => phases.push(phase),
        }),
      );
    expect(await refused(taken)).toMatchObject({ code: "REQUEST_INVALID", message: "the training set is a folder" });
    expect(await refused(world.path("no/such.csv"))).toMatchObject({ code: "REQUEST_INVALID" });
    expect(await refused(world.path("set.xlsx"))).toMatchObject({ code: "REQUEST_INVALID" });
    expect(phases).toEqual([]);
    // That the labels have a feature's name shows once they are read.
    expect(await refused(world.path("twice.csv"))).toMatchObject({ code: "SPINE_INVALID" });
    expect(new Set(phases)).toEqual(new Set(["labels"]));
  });

  it("is nothing where no event came late, and asks, as training does, where times coincide", async () => {
    await world.live("flights", [flight("S", "T", 300, 1), flight("S", "T", 310, 2), flight("S", "T", 400, 0)]);
    const labels = await world.file(
      "csv",
      `origin,destination,t\nS,T,${formatMicros(minute(305))}\nS,T,${formatMicros(minute(310))}\n`,
    );
    const { rowsChanged, features } = await report(labels);
    expect([rowsChanged, ...features.map((feature) => feature.rowsChanged)]).toEqual(Array(13).fill(0));
    const unsaid = explainLeakage({ ports: world.ports, service: "model", labels: { path: labels } });
    expect(await errorOf(unsaid)).toMatchObject({ code: "SPINE_AMBIGUOUS_TIME" });
  });
});
