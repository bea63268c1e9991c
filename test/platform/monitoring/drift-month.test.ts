/** Sketches over five weeks, in three-hour steps, with a restart: what is kept, what is told, and how much lies on disk. */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { type DriftWindow, WINDOW_MICROS } from "../../../src/monitor/drift/drift-window.ts";
import { VectorSampler } from "../../../src/monitor/drift/vector-sampler.ts";
import { HourlyDrift } from "../../../src/platform/monitoring/hourly-drift.ts";
import { openOwnedDrift, type OwnedDrift } from "../../../src/platform/monitoring/open-drift.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const DAY = 24 * WINDOW_MICROS;
const COLUMNS = [
  { name: "fare", view: "rides@1", type: { name: "float64", nullable: true } },
  { name: "town", view: "rides@1", type: { name: "string", nullable: true } },
] as const;
const FARES = { service: "fares", fit: null, columns: COLUMNS };
const CHANGED_DAY = 20;
const DAYS = 36;

let folder: string;
let clock: ReplayClock;
let drift: OwnedDrift;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-drift-month-"));
  clock = new ReplayClock(START);
  drift = openOwnedDrift(folder, clock, 1);
});
afterEach(async () => {
  await drift.recorder.close();
  await drift.folded?.close();
  await rm(folder, { recursive: true, force: true });
});

function hourOf(startMicros: number, unit: number): DriftWindow {
  const sampler = new VectorSampler(1, () => 0);
  for (let i = 0; i < 120; i++)
    sampler.see(FARES, [unit * (5 + (i % 30)), i % 4 === 0 ? null : `t${i % 7}`], startMicros);
  return sampler.take()[0]!;
}

async function onDisk(): Promise<{ readonly names: string[]; readonly bytes: number }> {
  const at = join(folder, "monitor", "drift", "fares", "0");
  const names = await readdir(at);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(at, name))).size));
  return { names, bytes: sizes.reduce((sum, one) => sum + one, 0) };
}

it("are kept for a month, tell of what changes and not of what has stayed so for a week, and take no more room later", async () => {
  let hourly = new HourlyDrift(drift.windows, "served");
  const toldOf = new Map<number, Set<string>>();
  let roomAfterMonth = 0;
  for (let day = 0; day < DAYS; day++) {
    const unit = day < CHANGED_DAY ? 1 : 60;
    const windows: DriftWindow[] = [];
    for (let hour = 0; hour < 24; hour += 3) windows.push(hourOf(START + day * DAY + hour * WINDOW_MICROS, unit));
    const lastEnd = windows.at(-1)!.endMicros;
    clock.advanceTo((lastEnd + 150_000_000) as Micros);
    drift.recorder.add(windows);
    await drift.recorder.flush();
    const signals = await hourly.signals(clock.now());
    const beyond = signals.filter(({ isBeyond, detail }) => isBeyond && detail["effect_beyond"] === true);
    toldOf.set(day, new Set(beyond.map(({ kind, subject }) => `${kind} ${subject.feature}`)));
    if (day === 0) expect(signals.every(({ windowEndMicros }) => windowEndMicros === lastEnd)).toBe(true);

    const { names, bytes } = await onDisk();
    expect(names.length).toBeLessThanOrEqual(32 * 8);
    const oldest = Math.min(...names.map((name) => parseMicros(`${name.slice(0, 13)}:00:00Z`)));
    expect(oldest).toBeGreaterThanOrEqual(clock.now() - 31 * DAY - WINDOW_MICROS);
    if (day === 32) roomAfterMonth = bytes;
    if (day > 32) expect(bytes).toBeLessThan(1.05 * roomAfterMonth);
    if (day !== 10) continue;
    await drift.recorder.close();
    await drift.folded?.close();
    drift = openOwnedDrift(folder, clock, 1);
    hourly = new HourlyDrift(drift.windows, "served");
  }
  for (let day = 0; day < CHANGED_DAY; day++) expect([...toldOf.get(day)!], `day ${day}`).toEqual([]);
  for (const day of [CHANGED_DAY, CHANGED_DAY + 1]) expect([...toldOf.get(day)!], `day ${day}`).toEqual(["drift fare"]);
  for (let day = CHANGED_DAY + 8; day < DAYS; day++) expect([...toldOf.get(day)!], `day ${day}`).toEqual([]);
  // Of all that was kept nothing is missing: 31 days and what there is of this one.
  const kept = await drift.windows.read("fares", { fromMicros: clock.now() - 30 * DAY, untilMicros: clock.now() });
  expect(kept).toHaveLength(30 * 8);
  expect(kept.every(({ vectors }) => vectors === 120)).toBe(true);
});
