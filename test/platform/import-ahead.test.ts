/** History of what is still to come: such as bookings, which count at the time of the flight. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, MICROS_PER_DAY, parseMicros } from "../../src/base/micros.ts";
import { count, entity, openPlatform, service, stream, t, view } from "../../src/index.ts";
import type { Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const airport = entity("airport", { airport: t.string() });
const bookings = stream("bookings", {
  columns: { airport: t.string(), departs_at: t.timestamp(), seen_at: t.timestamp().nullable() },
  eventTime: "departs_at",
  maxFuture: "30d",
});
const booked = view("booked", { entity: airport, source: bookings, features: { n: count() } });
const model = service("model", { features: [booked] });
const definitions = [airport, bookings, booked, model];

const at = (days: number): string => formatMicros((START + days * MICROS_PER_DAY) as Micros);

let folder: string;
let clock: ReplayClock;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-import-ahead-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

async function file(name: string, lines: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

describe("imported rows that lie ahead", () => {
  it("are known now, as if they were pushed, and put no live event behind that", async () => {
    const rows = [-5, 25, 40].map((days) => JSON.stringify({ airport: "JFK", departs_at: at(days) }));
    // The door's own look: the engine takes no such text for a time.
    rows.push(JSON.stringify({ airport: "JFK", departs_at: Date.parse(at(26)) }));
    const report = await platform.importHistory("bookings", [await file("h.ndjson", rows)]);
    clock.advanceTo((START + MICROS_PER_DAY) as Micros);
    await platform.push("bookings", [{ airport: "LAX", departs_at: at(1) }]);
    clock.advanceTo((START + 10 * MICROS_PER_DAY) as Micros);
    const counts = { LAX: 1, JFK: report.accepted };
    expect(counts.JFK).toBeGreaterThan(1);
    for (const [name, n] of Object.entries(counts)) {
      expect((await platform.vector("model", { airport: name })).features).toEqual({ n });
    }
    await platform.push("bookings", [{ airport: "SFO", departs_at: at(10) }]);
    const train = async (label: number): Promise<readonly unknown[]> => {
      const labels = await file("l.csv", ["airport,t", `LAX,${at(label)}`, `JFK,${at(label)}`]);
      const set = await platform.train({ service: "model", labels, boundary: "inclusive" });
      return [0, 1].map((row) => set.columns[0]!.value(row));
    };
    expect(await train(10)).toEqual([counts.LAX, counts.JFK]);
    await expect(train(20)).rejects.toMatchObject({ code: "SPINE_AFTER_LOG" });
    expect(await platform.audit({ states: true })).toMatchObject({ clean: true });
  });

  it("further than maxFuture, or known later than now, are dead letters", async () => {
    const rows = ["airport,departs_at,seen_at", `JFK,${at(31)},`, `JFK,${at(5)},${at(0)}`, `JFK,${at(-5)},${at(1)}`];
    const known = await file("known.csv", rows);
    expect(await platform.importHistory("bookings", [known], { knownTimeColumn: "seen_at" })).toMatchObject({
      accepted: 1,
      rejected: 2,
    });
    const plain = await file("plain.csv", ["airport,departs_at", `JFK,${at(31)}`, `JFK,${at(29)}`]);
    expect(await platform.importHistory("bookings", [plain])).toMatchObject({ accepted: 1, rejected: 1 });
  });
});
