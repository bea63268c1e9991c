/**
 * Runs in which nothing changes: hours of served vectors, drawn anew from real ones, through the sketches, measures and
 * default rules that judge a server's.
 *
 *     vectors   each vector is drawn by itself: what the p-values of tests take for granted
 *     days      whole days are drawn, hour by hour as they were: values hang together as they do
 *     calendar  nothing is drawn: the days as they came, with whatever weather they had
 */
import { defaultAlerts } from "../../src/define/alert.ts";
import { type AlertMemory, evaluate, NOTHING_REMEMBERED } from "../../src/monitor/alerts/evaluate.ts";
import { adjustedPValues } from "../../src/monitor/alerts/benjamini-hochberg.ts";
import { driftReport } from "../../src/monitor/drift/drift-report.ts";
import { driftSignals } from "../../src/monitor/drift/drift-signals.ts";
import { type DriftWindow, mergeWindows, WINDOW_MICROS } from "../../src/monitor/drift/drift-window.ts";
import { VectorSampler } from "../../src/monitor/drift/vector-sampler.ts";
import type { SeededRandom } from "../../src/testing/random.ts";
import type { ServedVectors } from "./served-flights.ts";

export type Draw = "vectors" | "days" | "calendar";

export interface QuietRun {
  readonly windows: number;
  /** Windows in which a feature is significant among all, before an effect is asked for. */
  readonly significant: number;
  /** ... and with an effect. */
  readonly beyond: number;
  readonly alerts: readonly string[];
}

export interface QuietRunOptions {
  readonly draw: Draw;
  readonly random: SeededRandom;
  readonly baselineDays: number;
  readonly days: number;
  /** Of an hour, where vectors are drawn one by one. */
  readonly vectors: number;
  readonly firstDay?: number;
}

const SETTINGS = { samplesMin: 100, exactTestMax: 2000 };

export async function quietRun(served: ServedVectors, options: QuietRunOptions): Promise<QuietRun> {
  const { baselineDays, days } = options;
  const hours = drawHours(served, options);
  const before = hours.slice(0, 24 * baselineDays).filter((window) => window !== null);
  const baseline = { source: "the week before", isExact: false, window: mergeWindows(before) };
  const rules = defaultAlerts().filter(({ watches }) => watches.kinds.some((kind) => kind.endsWith("drift")));
  const parts = { featuresOf: () => [], sourceOf: () => null };
  let memory: AlertMemory = NOTHING_REMEMBERED;
  let [windows, significant, beyond] = [0, 0, 0];
  const alerts: string[] = [];
  for (const window of hours.slice(24 * baselineDays, 24 * (baselineDays + days))) {
    if (window === null) continue;
    const current = { source: "last hour", isExact: false, window };
    const report = await driftReport(baseline, current, SETTINGS, window.endMicros);
    const signals = driftSignals(report);
    windows++;
    const values = signals.filter(({ kind }) => kind === "drift");
    const adjusted = adjustedPValues(values.map(({ pValue }) => pValue!));
    if (adjusted.some((p) => p <= 0.05)) significant++;
    const round = evaluate(memory, rules, signals, parts, window.endMicros);
    memory = round.memory;
    if (
      memory.states.some(
        ({ beyondSinceMicros, seenMicros }) => beyondSinceMicros !== null && seenMicros === window.endMicros,
      )
    )
      beyond++;
    alerts.push(...round.changes.filter(({ change }) => change === "firing").map(({ state }) => state.key));
  }
  return { windows, significant, beyond, alerts };
}

const built = new WeakMap<ServedVectors, Map<number, DriftWindow | null>>();

function drawHours(
  served: ServedVectors,
  { draw, random, baselineDays, days, vectors, firstDay = 0 }: QuietRunOptions,
): (DriftWindow | null)[] {
  const count = baselineDays + days;
  const hours = Array.from({ length: 24 * count }, (_, hour) => hour);
  const rows = served.hours.length;
  if (draw === "vectors") {
    return hours.map((hour) =>
      windowOf(
        served,
        hour,
        Array.from({ length: vectors }, () => Math.floor(random.next() * rows)),
      ),
    );
  }
  const first = Math.ceil(served.hours[0]! / 24);
  const all = Math.floor((served.hours[rows - 1]! + 1) / 24) - first;
  const drawn = Array.from(
    { length: count },
    (_, day) => first + (draw === "days" ? Math.floor(random.next() * all) : firstDay + day),
  );
  const known = built.get(served) ?? new Map<number, DriftWindow | null>();
  built.set(served, known);
  return hours.map((hour) => {
    const of = drawn[Math.floor(hour / 24)]! * 24 + (hour % 24);
    let window = known.get(of);
    if (window === undefined) {
      const [from, until] = [firstAtLeast(served.hours, of), firstAtLeast(served.hours, of + 1)];
      window =
        until === from
          ? null
          : windowOf(
              served,
              of,
              Array.from({ length: until - from }, (_, i) => from + i),
            );
      known.set(of, window);
    }
    return window === null
      ? null
      : { ...window, startMicros: hour * WINDOW_MICROS, endMicros: (hour + 1) * WINDOW_MICROS };
  });
}

function windowOf({ columns, values }: ServedVectors, hour: number, rows: readonly number[]): DriftWindow {
  const sampler = new VectorSampler(1, () => 0);
  const of = { service: "delay_model", fit: null, columns };
  for (const row of rows) {
    const vector = values.map((column) => (Number.isNaN(column[row]!) ? null : column[row]!));
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
