/**
 * Runs in which nothing changes: hours of served vectors, drawn anew from real ones, through the sketches, measures and
 * default rules that judge those of a server.
 *
 *     vectors   each vector is drawn by itself: what the p-values of tests take for granted
 *     days      whole days are drawn, with their hours as they were: values hang together as they do
 *     calendar  nothing is drawn: days as they came, with whatever weather they had
 */
import { defaultAlerts } from "../../src/define/alert.ts";
import { type AlertMemory, evaluate, NOTHING_REMEMBERED } from "../../src/monitor/alerts/evaluate.ts";
import { adjustedPValues } from "../../src/monitor/alerts/benjamini-hochberg.ts";
import type { Signal } from "../../src/monitor/signal.ts";
import { driftReport } from "../../src/monitor/drift/drift-report.ts";
import { driftSignals } from "../../src/monitor/drift/drift-signals.ts";
import { type DriftWindow, mergeWindows, WINDOW_MICROS } from "../../src/monitor/drift/drift-window.ts";
import { UsualHours } from "../../src/monitor/drift/usual-effects.ts";
import { VectorSampler } from "../../src/monitor/drift/vector-sampler.ts";
import type { SeededRandom } from "../../src/testing/random.ts";
import type { ServedVectors } from "./served-vectors.ts";

export type Draw = "vectors" | "days" | "calendar";

export interface QuietRunOptions {
  readonly draw: Draw;
  readonly random: SeededRandom;
  /** Days that are judged, behind eight that are the past. */
  readonly days: number;
  /** Of an hour, where each is drawn by itself. */
  readonly vectors: number;
  /** Of the calendar: with which day of all the past begins. */
  readonly firstDay?: number;
  /** Features whose unit changes as the first of these days begins: minutes become seconds. */
  readonly inSeconds?: ReadonlySet<string>;
}

export interface QuietRun {
  /** With enough values to be judged. */
  readonly windows: number;
  /** Windows in which any feature is significant among all, before an effect is asked for. */
  readonly significant: number;
  /** Alerts that began to fire, each with the window in which it did, from 1. */
  readonly alerts: readonly { readonly feature: string; readonly window: number }[];
}

const PAST_DAYS = 8;
const WEEK_HOURS = 7 * 24;
/** As a server judges (src/platform/monitoring/drift-desk.ts). */
const SAMPLES_MIN = 100;
const SETTINGS = { samplesMin: SAMPLES_MIN, exactTestMax: 2000 };
export const FALSE_DISCOVERY_RATE = 0.05;

export async function quietRun(served: ServedVectors, options: QuietRunOptions): Promise<QuietRun> {
  const hours = drawHours(served, options);
  const past = hours.slice(0, PAST_DAYS * 24);
  const before = mergeWindows(past.slice(-WEEK_HOURS).filter(isThere));
  const usual = usualOf(past.slice(0, WEEK_HOURS).filter(isThere));
  const rules = defaultAlerts().filter(({ watches: { kinds } }) => kinds.some((kind) => kind.endsWith("drift")));
  const parts = { featuresOf: () => [], sourceOf: () => null };
  const alerts: { feature: string; window: number }[] = [];
  let [memory, windows, significant]: [AlertMemory, number, number] = [NOTHING_REMEMBERED, 0, 0];
  for (const window of hours.slice(PAST_DAYS * 24).filter(isThere)) {
    const [baseline, current] = [sideOf("the week before", before), sideOf("last hour", window)];
    const signals = driftSignals(await driftReport(baseline, current, SETTINGS, window.endMicros), usual);
    if (window.vectors >= SAMPLES_MIN) windows++;
    if (hasSignificant(signals)) significant++;
    const round = evaluate(memory, rules, signals, parts, window.endMicros);
    memory = round.memory;
    for (const { change, state } of round.changes) {
      if (change === "firing") alerts.push({ feature: state.measured.subject.feature!, window: windows });
    }
  }
  return { windows, significant, alerts };
}

function isThere(window: DriftWindow | null): window is DriftWindow {
  return window !== null;
}

function sideOf(source: string, window: DriftWindow) {
  return { source, isExact: false, window };
}

function usualOf(week: readonly DriftWindow[]) {
  const hours = new UsualHours(mergeWindows(week), SAMPLES_MIN);
  for (const window of week) hours.add([window]);
  return hours.usual();
}

function hasSignificant(signals: readonly Signal[]): boolean {
  const tested = signals.filter(({ kind }) => kind === "drift").map(({ pValue }) => pValue!);
  return adjustedPValues(tested).some((adjusted) => adjusted <= FALSE_DISCOVERY_RATE);
}

/** Null for an hour in which nothing was served. */
function drawHours(served: ServedVectors, options: QuietRunOptions): (DriftWindow | null)[] {
  const { draw, random, days, vectors, firstDay = 0, inSeconds = new Set() } = options;
  const rows = served.hours.length;
  const first = Math.ceil(served.hours[0]! / 24);
  const all = Math.floor((served.hours[rows - 1]! + 1) / 24) - first;
  const drawn = Array.from({ length: PAST_DAYS + days }, (_, day) =>
    draw === "days" ? random.integer(0, all - 1) : firstDay + day,
  );
  return drawn.flatMap((drawnDay, day) =>
    Array.from({ length: 24 }, (_, hourOfDay) => {
      const changed = day < PAST_DAYS ? new Set<string>() : inSeconds;
      const hour = day * 24 + hourOfDay;
      if (draw === "vectors") {
        const some = Array.from({ length: vectors }, () => random.integer(0, rows - 1));
        return windowOf(served, hour, some, changed);
      }
      const of = (first + drawnDay) * 24 + hourOfDay;
      const known = changed.size === 0 ? (hoursKnown(served).get(of) ?? null) : null;
      if (known !== null) return at(known, hour);
      const [from, until] = [firstAtLeast(served.hours, of), firstAtLeast(served.hours, of + 1)];
      if (until === from) return null;
      return windowOf(
        served,
        hour,
        Array.from({ length: until - from }, (_unused, i) => from + i),
        changed,
      );
    }),
  );
}

const KNOWN = new WeakMap<ServedVectors, Map<number, DriftWindow>>();

/** Hours as they were, which come again and again. */
function hoursKnown(served: ServedVectors): Map<number, DriftWindow> {
  const known = KNOWN.get(served) ?? new Map<number, DriftWindow>();
  KNOWN.set(served, known);
  return known;
}

function at(window: DriftWindow, hour: number): DriftWindow {
  return { ...window, startMicros: hour * WINDOW_MICROS, endMicros: (hour + 1) * WINDOW_MICROS };
}

function windowOf(
  { columns, values }: ServedVectors,
  hour: number,
  rows: readonly number[],
  inSeconds: ReadonlySet<string>,
): DriftWindow {
  const sampler = new VectorSampler(1, () => 0);
  const of = { service: "delay_model", fit: null, columns };
  const units = columns.map(({ name }) => (inSeconds.has(name) ? 60 : 1));
  for (const row of rows) {
    const vector = values.map((column, i) => (Number.isNaN(column[row]!) ? null : column[row]! * units[i]!));
    sampler.see(of, vector, hour * WINDOW_MICROS);
  }
  return sampler.take()[0]!;
}

function firstAtLeast(sorted: Int32Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
