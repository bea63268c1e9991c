/**
 * Windows on disk, a file an hour of each service and fit, and the baseline that was chosen for a service:
 *
 *     monitor/drift/<service>/baseline.json
 *     monitor/drift/<service>/<fit, or 0>/<hour>.json             hour as 2026-11-26T07
 *     monitor/drift/<service>/<fit, or 0>/<hour>.<writer>.json    of servers that do not own the folder
 *     monitor/drift-folded/<view@version>/0/...                   of what was folded, the same by view
 *
 * A file has one writer, which replaces it whole; others may read beside it. A file that cannot be read is as none: it
 * holds a sample, and nothing depends on it.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatMicros, type Micros, parseMicros } from "../../base/micros.ts";
import { replaceFile } from "../../registry/atomic-file.ts";
import { type DriftWindow, mergeWindows, windowFromJson, windowToJson } from "./drift-window.ts";

const BASELINE = "baseline.json";

export interface ChosenBaseline {
  /** As it was asked for: "training:ID", "range:A..B". */
  readonly source: string;
  readonly chosenMicros: number;
  readonly window: DriftWindow;
}

export interface TimeRange {
  readonly fromMicros: number;
  /** Without this moment. */
  readonly untilMicros: number;
}

export class WindowFolder {
  readonly #folder: string;
  readonly #writer: string;
  /** Windows of the newest hour, which come again and again. */
  readonly #newest = new Map<string, DriftWindow>();

  /** `writer`: of letters and digits, where others may write into the folder, and forget what is in it. */
  constructor(dataDir: string, writer = "", name: "drift" | "drift-folded" = "drift") {
    this.#folder = join(dataDir, "monitor", name);
    this.#writer = writer;
  }

  /** Adds to what is there of the same hours. Durable once it resolves. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  async add(windows: readonly DriftWindow[]): Promise<void> {
    const byFile = new Map<string, DriftWindow[]>();
    for (const window of windows) {
      const path = this.#path(window);
      byFile.set(path, [...(byFile.get(path) ?? []), window]);
    }
    for (const [path, added] of byFile) {
      const stored = this.#newest.get(path) ?? (await readWindow(path));
      const merged = mergeWindows(stored === null ? added : [stored, ...added]);
      await replaceFile(path, `${JSON.stringify(windowToJson(merged))}\n`);
      this.#keep(path, merged);
    }
  }

  /** Names of the services that anything is kept of. */
  async services(): Promise<string[]> {
    return (await namesIn(this.#folder)).sort();
  }

  /** Windows that begin in the range, by time; of one fit, or of all. */
  async read(service: string, { fromMicros, untilMicros }: TimeRange, fit?: number | null): Promise<DriftWindow[]> {
    const windows: DriftWindow[] = [];
    const fits = fit === undefined ? await namesIn(join(this.#folder, service)) : [String(fit ?? 0)];
    for (const name of fits.filter((each) => each !== BASELINE)) {
      const folder = join(this.#folder, service, name);
      for (const file of await namesIn(folder)) {
        const start = startOf(file);
        if (start === null || start < fromMicros || start >= untilMicros) continue;
        const window = await readWindow(join(folder, file));
        if (window !== null) windows.push(window);
      }
    }
    return windows.sort((a, b) => a.startMicros - b.startMicros);
  }

  /** Removes windows that began before. */
  async forgetBefore(micros: number): Promise<void> {
    for (const service of await this.services()) {
      for (const fit of await namesIn(join(this.#folder, service))) {
        for (const file of fit === BASELINE ? [] : await namesIn(join(this.#folder, service, fit))) {
          const start = startOf(file);
          if (start !== null && start < micros) await rm(join(this.#folder, service, fit, file), { force: true });
        }
      }
    }
  }

  /** Of all features that anything is kept of, `view@version`. */
  async views(service: string): Promise<string[]> {
    const windows = await this.read(service, {
      fromMicros: Number.NEGATIVE_INFINITY,
      untilMicros: Number.POSITIVE_INFINITY,
    });
    const chosen = await this.readBaseline(service);
    const all = chosen === null ? windows : [...windows, chosen.window];
    return [...new Set(all.flatMap(({ features }) => features.map(({ view }) => view)))];
  }

  /** Removes all that is kept of a service. */
  async forget(service: string): Promise<void> {
    for (const [path, window] of this.#newest) if (window.service === service) this.#newest.delete(path);
    // Others may write into it meanwhile.
    await rm(join(this.#folder, service), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  async writeBaseline(service: string, { source, chosenMicros, window }: ChosenBaseline): Promise<void> {
    const content = { source, chosen_micros: chosenMicros, window: windowToJson(window) };
    await replaceFile(join(this.#folder, service, BASELINE), `${JSON.stringify(content)}\n`);
  }

  async readBaseline(service: string): Promise<ChosenBaseline | null> {
    try {
      const text = await readFile(join(this.#folder, service, BASELINE), "utf8");
      const { source, chosen_micros, window } = JSON.parse(text) as Record<string, unknown>;
      return { source: source as string, chosenMicros: chosen_micros as number, window: windowFromJson(window) };
    } catch {
      return null;
    }
  }

  async removeBaseline(service: string): Promise<void> {
    await rm(join(this.#folder, service, BASELINE), { force: true });
  }

  #keep(path: string, window: DriftWindow): void {
    for (const [other, { startMicros }] of this.#newest) {
      if (startMicros < window.startMicros) this.#newest.delete(other);
    }
    // Nobody tells this one when what is there is forgotten.
    if (this.#writer !== "") return;
    const newest = Math.max(...Array.from(this.#newest.values(), ({ startMicros }) => startMicros), 0);
    if (window.startMicros >= newest) this.#newest.set(path, window);
  }

  #path({ service, fit, startMicros }: DriftWindow): string {
    const hour = formatMicros(startMicros as Micros).slice(0, 13);
    const file = this.#writer === "" ? `${hour}.json` : `${hour}.${this.#writer}.json`;
    return join(this.#folder, service, String(fit ?? 0), file);
  }
}

/** Of a window's file name; null of others. */
function startOf(file: string): number | null {
  const hour = /^(\d{4}-\d{2}-\d{2}T\d{2})(?:\.\w+)?\.json$/.exec(file);
  return hour === null ? null : parseMicros(`${hour[1]}:00:00Z`);
}

async function readWindow(path: string): Promise<DriftWindow | null> {
  try {
    return windowFromJson(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}

/** Without those of writes that were cut short. */
async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [] as string[])).filter((name) => !name.startsWith("."));
}
