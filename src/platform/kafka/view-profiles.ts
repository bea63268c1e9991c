/**
 * Profiles by day of the views that workers fold, kept beside the tables: each worker writes what it has looked at, and the one
 * that folds the first partition of the views' topic makes the profiles of all parts.
 */
import type { Clock } from "../../base/clock.ts";
import { type DurationMicros, MICROS_PER_DAY } from "../../base/micros.ts";
import { formatViewName, type ViewDefinition } from "../../define/definition.ts";
import type { FoldedProfiler } from "../../monitor/quality/folded-profiler.ts";
import { type DaySketches, monthOf } from "../../monitor/quality/profile-files.ts";
import { ProfileParts } from "../../monitor/quality/profile-parts.ts";
import { typesOf } from "../../monitor/quality/profiler.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { Column } from "../../schema/value.ts";
import { workerProfileFiles } from "./worker-profile-files.ts";

/** Parts are kept for so long: events may be folded long after they became known. */
const KEPT_MICROS: DurationMicros = 31 * MICROS_PER_DAY;

export interface ViewProfilesOptions {
  /** Of the tables. */
  readonly folder: string;
  readonly writer: string;
  readonly clock: Clock;
  readonly seen: FoldedProfiler;
  /** Whether an entity was forgotten since it was asked last: what was seen may be of it, and is not kept. */
  readonly isForgotten?: () => Promise<boolean>;
}

export class ViewProfiles {
  readonly #options: ViewProfilesOptions;
  readonly #parts: ProfileParts;
  /** By view and day: the parts that its profile was made of. */
  readonly #made = new Map<string, Map<number, string>>();

  constructor(options: ViewProfilesOptions) {
    this.#options = options;
    this.#parts = new ProfileParts(options.folder, options.writer);
  }

  /** Writes what was looked at. */
  async keep(): Promise<void> {
    const { seen, isForgotten } = this.#options;
    const firstDay = this.#firstDay();
    const taken = seen.take();
    if (taken.length === 0 || (await isForgotten?.()) === true) return;
    for (const { view, days } of taken) {
      for (const [day, columns] of days) if (day >= firstDay) await this.#parts.add(formatViewName(view), day, columns);
    }
  }

  /** Brings a view's profiles up to what all workers have written. */
  async bringUp(engine: QueryEngine, view: ViewDefinition): Promise<void> {
    const name = formatViewName(view);
    await this.#parts.forgetBefore(name, this.#firstDay());
    const made = this.#made.get(name) ?? new Map<number, string>();
    this.#made.set(name, made);
    const stale = [...(await this.#parts.days(name))].filter(([day, parts]) => made.get(day) !== parts);
    const columns = view.features.map(({ name: feature, type }): Column => ({ name: feature, type, nullable: true }));
    for (const month of new Set(stale.map(([day]) => monthOf(day)))) {
      const ofMonth = stale.filter(([day]) => monthOf(day) === month);
      const days: DaySketches = new Map();
      for (const [day] of ofMonth) days.set(day, await this.#parts.read(name, day));
      const files = workerProfileFiles(this.#options.folder, view);
      await files.write(engine, month, days, typesOf(columns), { epoch: 0, endOffset: 0 });
      for (const [day, parts] of ofMonth) made.set(day, parts);
    }
  }

  /** Another worker makes them. */
  letGo(isOurs: (view: string) => boolean): void {
    for (const view of this.#made.keys()) if (!isOurs(view)) this.#made.delete(view);
  }

  #firstDay(): number {
    return Math.floor((this.#options.clock.now() - KEPT_MICROS) / MICROS_PER_DAY);
  }
}
