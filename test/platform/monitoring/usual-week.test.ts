/** Which hours say what is usual: those of seven days, and none of the last. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseMicros } from "../../../src/base/micros.ts";
import { type DriftWindow, WINDOW_MICROS } from "../../../src/monitor/drift/drift-window.ts";
import { VectorSampler } from "../../../src/monitor/drift/vector-sampler.ts";
import { WindowFolder } from "../../../src/monitor/drift/window-folder.ts";
import { UsualWeek } from "../../../src/platform/monitoring/usual-week.ts";

const COLUMNS = [{ name: "fare", view: "rides@1", type: { name: "float64", nullable: true } }] as const;
const FARES = { service: "fares", fit: null, columns: COLUMNS };
const START = parseMicros("2026-03-01T00:00:00Z");

let folder: string;
let windows: WindowFolder;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-usual-week-"));
  windows = new WindowFolder(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function at(hour: number): number {
  return START + hour * WINDOW_MICROS;
}

/** All of its values are the same. */
function hour(of: number, value: number): DriftWindow {
  const sampler = new VectorSampler(1, () => 0);
  for (let i = 0; i < 10; i++) sampler.see(FARES, [value], at(of));
  return sampler.take()[0]!;
}

it("is of the days before the last one, counted once a day, and of nothing where there were none", async () => {
  const usual = async (of: number, week = new UsualWeek(windows, 5)): Promise<number | undefined> =>
    (await week.before("fares", at(of))).get("fare")?.values;
  expect(await usual(48)).toBeUndefined();
  // Half of the hours of a day one value, half another; then a day of a third.
  await windows.add(Array.from({ length: 24 }, (_, i) => hour(i, i % 2)));
  await windows.add(Array.from({ length: 24 }, (_, i) => hour(24 + i, 7)));
  expect(await usual(47)).toBeUndefined();
  const week = new UsualWeek(windows, 5);
  expect(await usual(48, week)).toBe(0.5);
  expect(await usual(71, week)).toBe(0.5);
  // Now the second day is among them.
  expect(await usual(72, week)).toBeCloseTo(0.75, 12);
  // Seven days of them: the first is not.
  expect(await usual(9 * 24, week)).toBe(0);
  await windows.forget("fares");
  expect(await usual(9 * 24, week)).toBe(0);
  week.clear();
  expect(await usual(9 * 24, week)).toBeUndefined();
});
