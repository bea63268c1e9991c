/**
 * Drift as it is asked for: reports, the baseline that is chosen for a service, and signals.
 */
import { setTimeout } from "node:timers/promises";
import {
  type DurationMicros,
  formatDuration,
  type Micros,
  MICROS_PER_DAY,
  MICROS_PER_MINUTE,
} from "../../base/micros.ts";
import { serviceId } from "../../define/service-version.ts";
import type { DriftSettings } from "../../monitor/drift/choose-measure.ts";
import { driftReport, type DriftReport, type DriftSide } from "../../monitor/drift/drift-report.ts";
import { driftSignals } from "../../monitor/drift/drift-signals.ts";
import { mergeWindows, WINDOW_MICROS } from "../../monitor/drift/drift-window.ts";
import type { Signal, SignalSource } from "../../monitor/signal.ts";
import { forgetDrift } from "../forget/forget-drift.ts";
import { type DriftSource, parseDriftSource } from "./drift-source.ts";
import { type DriftHouse, driftSide } from "./drift-values.ts";
import { UsualWeek } from "./usual-week.ts";

export type { DriftSettings } from "../../monitor/drift/choose-measure.ts";
export type { DriftReport, DriftSide } from "../../monitor/drift/drift-report.ts";

export interface DriftOptions {
  /** As it may be asked for. */
  readonly service: string;
  /**
   * `training:ID`, `file:PATH`, `range:A..B`, `last:24h`, `folded:A..B`, `fit:N`, `chosen`. Default: the one that was
   * chosen, else what was served in the week before the current values.
   */
  readonly baseline?: string;
  /** The same. Default `last:24h`. */
  readonly current?: string;
  /** What times name, on both sides: vectors that were served (the default), or values that were folded. */
  readonly of?: "served" | "folded";
  /** Counts every value that is kept, instead of sketches of them: of served ones those in the serving log, of folded ones feature rows. */
  readonly exact?: boolean;
  readonly settings?: DriftSettings;
}

const CURRENT = "last:24h";
const BASELINE_MICROS: DurationMicros = 7 * MICROS_PER_DAY;
/** Workers tell what they saw twice a minute: after so long an hour is whole. */
const SETTLED_MICROS: DurationMicros = 2 * MICROS_PER_MINUTE;
/** A server that goes on meanwhile counts no longer than some milliseconds at a time. */
export const SERVED_TEST_MAX = 2000;
/** Below so many values on a side a signal says nothing. */
export const SIGNAL_SAMPLES_MIN = 100;

export class DriftDesk {
  readonly #house: DriftHouse;
  readonly #flush: (exact: boolean) => Promise<void>;
  readonly #usual: UsualWeek;
  /** By service: what was said of the hour, and for which hour and baseline. */
  readonly #said = new Map<string, { readonly of: string; readonly signals: readonly Signal[] }>();

  /** `flush`: writes what was seen so far, where this process serves; for an exact report, all that is kept of it. */
  constructor(house: DriftHouse, flush: (exact: boolean) => Promise<void>) {
    this.#house = house;
    this.#flush = flush;
    this.#usual = new UsualWeek(house.windows, SIGNAL_SAMPLES_MIN);
  }

  /** Ids of the services of which served values are kept, in their order. */
  services(): Promise<string[]> {
    return this.#house.windows.services();
  }

  /**
   * Throws `SERVICE_UNKNOWN`, `VALUES_MISSING` where a side has none, `REQUEST_INVALID` for a side that is not understood
   * or a measure that does not fit, and what reading a side throws.
   */
  async report(options: DriftOptions): Promise<DriftReport> {
    const { exact = false, settings = {}, of = "served" } = options;
    const { clock } = this.#house.context;
    const service = this.#idOf(options.service);
    await this.#flush(exact);
    const now = clock.now();
    const currentText = options.current ?? CURRENT;
    const currentSource = parseDriftSource(currentText, now);
    const current = await driftSide(this.#house, currentSource, { service, text: currentText, exact, of });
    const baseline = await this.#baseline({ ...options, service }, currentSource, now);
    return driftReport(baseline, current, settings, now);
  }

  /** What current values are compared with from now on, as a sketch. Throws as `report`. */
  async choose(name: string, source: string): Promise<DriftSide> {
    const now = this.#house.context.clock.now();
    const service = this.#idOf(name);
    await this.#flush(false);
    const request = { service, text: source, exact: false, of: "served" } as const;
    const side = await driftSide(this.#house, parseDriftSource(source, now), request);
    await this.#house.windows.writeBaseline(service, { source, chosenMicros: now, window: side.window });
    return side;
  }

  /** Goes back to comparing with the week before. Throws `SERVICE_UNKNOWN`. */
  async forgetChosen(name: string): Promise<void> {
    await this.#house.windows.removeBaseline(this.#idOf(name));
  }

  #idOf(name: string): string {
    return serviceId(this.#house.ports.registry.service(name).definition);
  }

  /** Removes the sketches that an entity may have part in. */
  async forget(entity: string): Promise<void> {
    await this.#flush(false);
    this.#said.clear();
    this.#usual.clear();
    await forgetDrift(this.#house, this.#house.ports.registry, entity);
  }

  /** Of the last whole hour of every service: what was served in it, against the chosen baseline or the week before. */
  get signals(): SignalSource {
    return { signals: (nowMicros) => this.#signals(nowMicros) };
  }

  async #signals(nowMicros: number): Promise<readonly Signal[]> {
    const endMicros = Math.floor((nowMicros - SETTLED_MICROS) / WINDOW_MICROS) * WINDOW_MICROS;
    const signals: Signal[] = [];
    for (const service of await this.services()) {
      const chosen = await this.#house.windows.readBaseline(service);
      const of = `${endMicros} ${chosen?.chosenMicros ?? ""}`;
      let said = this.#said.get(service);
      if (said?.of !== of) {
        said = { of, signals: await this.#signalsOf(service, endMicros, nowMicros) };
        this.#said.set(service, said);
      }
      signals.push(...said.signals);
    }
    return signals;
  }

  async #signalsOf(service: string, endMicros: number, nowMicros: number): Promise<readonly Signal[]> {
    const { windows } = this.#house;
    const startMicros = endMicros - WINDOW_MICROS;
    const seen = await windows.read(service, { fromMicros: startMicros, untilMicros: endMicros });
    if (seen.length === 0) return [];
    const current: DriftSide = { source: "last hour", isExact: false, window: mergeWindows(seen) };
    const chosen = await windows.readBaseline(service);
    const baseline =
      chosen === null
        ? await this.#weekBefore(service, startMicros)
        : { source: chosen.source, isExact: false, window: chosen.window };
    if (baseline === null) return [];
    const settings = { samplesMin: SIGNAL_SAMPLES_MIN, exactTestMax: SERVED_TEST_MAX };
    const report = await driftReport(baseline, current, settings, nowMicros);
    return driftSignals(report, await this.#usual.before(service, startMicros));
  }

  /** Null where nothing was served. */
  async #weekBefore(service: string, untilMicros: number): Promise<DriftSide | null> {
    const fromMicros = untilMicros - BASELINE_MICROS;
    let merged: DriftSide["window"] | null = null;
    for (let day = fromMicros; day < untilMicros; day += MICROS_PER_DAY) {
      const range = { fromMicros: day, untilMicros: Math.min(untilMicros, day + MICROS_PER_DAY) };
      const found = await this.#house.windows.read(service, range);
      if (found.length > 0) merged = mergeWindows(merged === null ? found : [merged, ...found]);
      // A server goes on in between.
      await setTimeout(0);
    }
    return merged === null
      ? null
      : { source: `the ${formatDuration(BASELINE_MICROS)} before`, isExact: false, window: merged };
  }

  async #baseline(options: DriftOptions, current: DriftSource, now: Micros): Promise<DriftSide> {
    const { service, exact = false, baseline, of = "served" } = options;
    if (baseline !== undefined) {
      return driftSide(this.#house, parseDriftSource(baseline, now), { service, text: baseline, exact, of });
    }
    // The chosen one stands for what is served.
    const chosen = of === "folded" ? null : await this.#house.windows.readBaseline(service);
    if (chosen !== null) return { source: chosen.source, isExact: false, window: chosen.window };
    const untilMicros = current.kind === "served" ? current.fromMicros : now;
    const range = { kind: "served" as const, fromMicros: untilMicros - BASELINE_MICROS, untilMicros };
    return driftSide(this.#house, range, { service, text: `the ${formatDuration(BASELINE_MICROS)} before`, exact, of });
  }
}
