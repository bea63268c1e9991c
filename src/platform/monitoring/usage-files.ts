/**
 * What was used and what it cost, a file a day: `monitor/usage/2026-11-26.json`, written by the owner of the data folder,
 * and `2026-11-26.<writer>.json` by each server that serves from elsewhere. Read by whoever asks.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessAbsent } from "../../base/unless-absent.ts";
import type { UsageDay } from "../../monitor/metrics/usage-days.ts";
import { replaceFile } from "../../registry/atomic-file.ts";

export { type FeatureUsage, firstDayOf, sumDays, type UsageSums } from "../../monitor/metrics/usage-days.ts";

const FILE = /^(\d{4}-\d{2}-\d{2})(?:\.(\w+))?\.json$/;

/**
 * Days from `firstDay` on, oldest first; of one day as many as wrote. A file that cannot be read is left out: it is of what was.
 * Throws `STORAGE_FAILED` where the folder cannot be: what nobody counted is not what was not used.
 */
export async function readUsageDays(dataDir: string, firstDay: string): Promise<readonly UsageDay[]> {
  const names = await usageFiles(dataDir);
  const files = names
    .toSorted()
    .map((name) => FILE.exec(name))
    .filter((found) => found !== null && found[1]! >= firstDay);
  const read = await Promise.all(files.map((found) => readUsageDay(dataDir, found![1]!, found![2])));
  return read.filter((day) => day !== null);
}

/** Whether servers that do not own the folder have counted in it since `firstDay`. Throws `STORAGE_FAILED`. */
export async function countedElsewhere(dataDir: string, firstDay: string): Promise<boolean> {
  return (await usageFiles(dataDir)).some((name) => {
    const found = FILE.exec(name);
    return found !== null && found[2] !== undefined && found[1]! >= firstDay;
  });
}

/** `writer`: of letters and digits; none of the owner. */
export async function readUsageDay(dataDir: string, day: string, writer?: string): Promise<UsageDay | null> {
  try {
    return JSON.parse(await readFile(fileOf(dataDir, day, writer), "utf8")) as UsageDay;
  } catch {
    return null;
  }
}

export function writeUsageDay(dataDir: string, day: UsageDay, writer?: string): Promise<void> {
  return replaceFile(fileOf(dataDir, day.day, writer), `${JSON.stringify(day)}\n`);
}

async function usageFiles(dataDir: string): Promise<readonly string[]> {
  const folder = folderOf(dataDir);
  return (await unlessAbsent(folder, readdir(folder))) ?? [];
}

function folderOf(dataDir: string): string {
  return join(dataDir, "monitor", "usage");
}

function fileOf(dataDir: string, day: string, writer?: string): string {
  return join(folderOf(dataDir), writer === undefined ? `${day}.json` : `${day}.${writer}.json`);
}
