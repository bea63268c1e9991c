/**
 * What was used and what it cost, a file a day: `monitor/usage/2026-11-26.json`. Written by the owner of the data folder,
 * read by whoever asks.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { UsageDay } from "../../monitor/metrics/usage-days.ts";
import { replaceFile } from "../../registry/atomic-file.ts";

export { type FeatureUsage, firstDayOf, sumDays, type UsageSums } from "../../monitor/metrics/usage-days.ts";

const FILE = /^(\d{4}-\d{2}-\d{2})\.json$/;

/** Days from `firstDay` on, oldest first. What cannot be read is left out: it is of what was. */
export async function readUsageDays(dataDir: string, firstDay: string): Promise<readonly UsageDay[]> {
  const names = await readdir(folderOf(dataDir)).catch(() => []);
  const days = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).filter((day) => day >= firstDay);
  const read = await Promise.all(days.sort().map((day) => readUsageDay(dataDir, day)));
  return read.filter((day) => day !== null);
}

export async function readUsageDay(dataDir: string, day: string): Promise<UsageDay | null> {
  try {
    return JSON.parse(await readFile(fileOf(dataDir, day), "utf8")) as UsageDay;
  } catch {
    return null;
  }
}

export function writeUsageDay(dataDir: string, day: UsageDay): Promise<void> {
  return replaceFile(fileOf(dataDir, day.day), `${JSON.stringify(day)}\n`);
}

function folderOf(dataDir: string): string {
  return join(dataDir, "monitor", "usage");
}

function fileOf(dataDir: string, day: string): string {
  return join(folderOf(dataDir), `${day}.json`);
}
