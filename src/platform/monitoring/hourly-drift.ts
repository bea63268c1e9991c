/**
 * What the last whole hour says of drift, as signals: of everything that windows are kept of, against what was chosen to compare
 * it with, or the week before. An hour is judged once; whoever asks again is told the same.
 */
import { setTimeout } from "node:timers/promises";
import { type DurationMicros, formatDuration, MICROS_PER_DAY, MICROS_PER_MINUTE } from "../../base/micros.ts";
import { driftReport, type DriftSide } from "../../monitor/drift/drift-report.ts";
import { type DriftOf, driftSignals } from "../../monitor/drift/drift-signals.ts";
import { mergeWindows, WINDOW_MICROS } from "../../monitor/drift/drift-window.ts";
import type { KeptWindows } from "../../monitor/drift/joined-windows.ts";
import type { ChosenBaseline } from "../../monitor/drift/window-folder.ts";
import type { Signal, SignalSource } from "../../monitor/signal.ts";
import { UsualWeek } from "./usual-week.ts";

/** What is served is compared with the week before, where nothing was chosen. */
export const BASELINE_MICROS: DurationMicros = 7 * MICROS_PER_DAY;
export const WEEK_BEFORE: string = `the ${formatDuration(BASELINE_MICROS)} before`;
/** A server that goes on meanwhile counts no longer than some milliseconds at a time. */
export const SERVED_TEST_MAX = 2000;
/** Below so many values on a side a signal says nothing. */
export const SIGNAL_SAMPLES_MIN = 100;
/** Workers tell what they saw twice a minute: after so long an hour is whole. */
const SETTLED_MICROS: DurationMicros = 2 * MICROS_PER_MINUTE;

export class HourlyDrift implements SignalSource {
  readonly #windows: Pick<KeptWindows, "services" | "read">;
  readonly #of: DriftOf;
  readonly #chosen: (name: string) => Promise<ChosenBaseline | null>;
  readonly #usual: UsualWeek;
  /** By what windows are kept of: what was said of the hour, and for which hour and baseline. */
  readonly #said = new Map<string, { readonly of: string; readonly signals: readonly Signal[] }>();

  constructor(
    windows: Pick<KeptWindows, "services" | "read">,
    of: DriftOf,
    chosen: (name: string) => Promise<ChosenBaseline | null> = async () => null,
  ) {
    this.#windows = windows;
    this.#of = of;
    this.#chosen = chosen;
    this.#usual = new UsualWeek(windows, SIGNAL_SAMPLES_MIN);
  }

  async signals(nowMicros: number): Promise<readonly Signal[]> {
    const endMicros = Math.floor((nowMicros - SETTLED_MICROS) / WINDOW_MICROS) * WINDOW_MICROS;
    const signals: Signal[] = [];
    for (const name of await this.#windows.services()) {
      const chosen = await this.#chosen(name);
      const of = `${endMicros} ${chosen?.chosenMicros ?? ""}`;
      let said = this.#said.get(name);
      if (said?.of !== of) {
        said = { of, signals: await this.#signalsOf(name, chosen, endMicros, nowMicros) };
        this.#said.set(name, said);
      }
      signals.push(...said.signals);
    }
    return signals;
  }

  /** Windows were removed. */
  clear(): void {
    this.#said.clear();
    this.#usual.clear();
  }

  async #signalsOf(
    name: string,
    chosen: ChosenBaseline | null,
    endMicros: number,
    nowMicros: number,
  ): Promise<readonly Signal[]> {
    const startMicros = endMicros - WINDOW_MICROS;
    const seen = await this.#windows.read(name, { fromMicros: startMicros, untilMicros: endMicros });
    if (seen.length === 0) return [];
    const current: DriftSide = { source: "last hour", isExact: false, window: mergeWindows(seen) };
    const baseline =
      chosen === null
        ? await this.#weekBefore(name, startMicros)
        : { source: chosen.source, isExact: false, window: chosen.window };
    if (baseline === null) return [];
    const settings = { samplesMin: SIGNAL_SAMPLES_MIN, exactTestMax: SERVED_TEST_MAX };
    const report = await driftReport(baseline, current, settings, nowMicros);
    return driftSignals(report, await this.#usual.before(name, startMicros), this.#of);
  }

  /** Null where there was nothing. */
  async #weekBefore(name: string, untilMicros: number): Promise<DriftSide | null> {
    const fromMicros = untilMicros - BASELINE_MICROS;
    let merged: DriftSide["window"] | null = null;
    for (let day = fromMicros; day < untilMicros; day += MICROS_PER_DAY) {
      const range = { fromMicros: day, untilMicros: Math.min(untilMicros, day + MICROS_PER_DAY) };
      const found = await this.#windows.read(name, range);
      if (found.length > 0) merged = mergeWindows(merged === null ? found : [merged, ...found]);
      // A server goes on in between.
      await setTimeout(0);
    }
    return merged === null ? null : { source: WEEK_BEFORE, isExact: false, window: merged };
  }
}
