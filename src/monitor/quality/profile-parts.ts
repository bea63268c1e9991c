/**
 * Profiles of one day as several workers have them, each its own part of the events:
 *
 *     monitor/quality/parts/<view@version>/<day>.<writer>.json        day as 2026-11-26
 *
 * A file has one writer, which replaces it whole. The profile of the day is that of all its parts together; so whoever merges them
 * may do so again and again. A damaged file is as none: it is of a sample, and nothing depends on it.
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatMicros, type Micros, MICROS_PER_DAY, parseMicros } from "../../base/micros.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { replaceFile } from "../../registry/atomic-file.ts";
import { type ColumnSketch, mergeSketch } from "./column-profile.ts";

type DayColumns = Map<string, ColumnSketch>;

export class ProfileParts {
  readonly #folder: string;
  readonly #writer: string;

  /** `folder`: of the tables. `writer`: of letters and digits, of this process alone. */
  constructor(folder: string, writer: string) {
    this.#folder = join(folder, "monitor", "quality", "parts");
    this.#writer = writer;
  }

  /** Adds to this writer's part of the day. Durable once it resolves. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  async add(view: string, day: number, columns: ReadonlyMap<string, ColumnSketch>): Promise<void> {
    const path = join(this.#folder, view, `${dayText(day)}.${this.#writer}.json`);
    const part = (await readPart(path)) ?? new Map<string, ColumnSketch>();
    merge(part, columns);
    await replaceFile(path, `${JSON.stringify({ format: 1, columns: Object.fromEntries(part) })}\n`);
  }

  /** Days that there are parts of, each with a text that is another once any of them is. */
  async days(view: string): Promise<Map<number, string>> {
    const days = new Map<number, string>();
    for (const { name, day } of (await this.#parts(view)).toSorted((a, b) => a.name.localeCompare(b.name))) {
      const path = join(this.#folder, view, name);
      const found = await unlessAbsent(path, stat(path));
      if (found !== null) days.set(day, `${days.get(day) ?? ""}${name} ${found.ino} ${found.mtimeMs}\n`);
    }
    return days;
  }

  /** All parts of the day together. */
  async read(view: string, day: number): Promise<DayColumns> {
    const whole: DayColumns = new Map();
    for (const part of await this.#parts(view)) {
      if (part.day === day) merge(whole, (await readPart(join(this.#folder, view, part.name))) ?? new Map());
    }
    return whole;
  }

  /** Removes what is of days before this one. */
  async forgetBefore(view: string, firstDay: number): Promise<void> {
    for (const { name, day } of await this.#parts(view)) {
      if (day < firstDay) await rm(join(this.#folder, view, name), { force: true });
    }
  }

  async #parts(view: string): Promise<{ readonly name: string; readonly day: number }[]> {
    const folder = join(this.#folder, view);
    const names = (await unlessAbsent(folder, readdir(folder))) ?? [];
    return names.flatMap((name) => {
      const day = /^(\d{4}-\d{2}-\d{2})\.\w+\.json$/.exec(name)?.[1];
      return day === undefined ? [] : [{ name, day: parseMicros(`${day}T00:00:00Z`) / MICROS_PER_DAY }];
    });
  }
}

function merge(into: DayColumns, columns: ReadonlyMap<string, ColumnSketch>): void {
  for (const [name, sketch] of columns) {
    const before = into.get(name);
    if (before === undefined) into.set(name, structuredClone(sketch));
    else mergeSketch(before, sketch);
  }
}

/** Null where there is none, or none that this version can read. */
async function readPart(path: string): Promise<DayColumns | null> {
  const text = await unlessAbsent(path, readFile(path, "utf8"));
  if (text === null) return null;
  try {
    const { format, columns } = JSON.parse(text) as Record<string, unknown>;
    return format === 1 ? new Map(Object.entries(columns as Record<string, ColumnSketch>)) : null;
  } catch {
    return null;
  }
}

function dayText(day: number): string {
  return formatMicros((day * MICROS_PER_DAY) as Micros).slice(0, 10);
}
