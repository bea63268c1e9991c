/**
 * What was served held against what is computed again, counted by feature: how often they differ, in which way, and by how
 * much.
 */
import type { Value } from "../../schema/value.ts";
import { addValues, type ColumnSketch, emptySketch, mergeSketch, profileOf } from "../quality/column-profile.ts";

export interface Compared {
  /** `view@version`, or the service that computed it. */
  readonly of: string;
  readonly feature: string;
  readonly served: Value;
  readonly recomputed: Value;
  readonly isSame: boolean;
  /** For whoever looks into it: whose value, and of when. */
  readonly entity: Readonly<Record<string, unknown>>;
  readonly asOfMicros: number;
}

/** Where served and computed values differ, and both are numbers: served less computed. */
export interface Differences {
  readonly count: number;
  readonly mean: number;
  readonly stddev: number | null;
  readonly min: number;
  readonly max: number;
  readonly p05: number;
  readonly p50: number;
  readonly p95: number;
  /** Of the quantiles. */
  readonly relative_error: number;
}

export interface SkewExample {
  readonly entity: Readonly<Record<string, unknown>>;
  readonly as_of_micros: number;
  readonly served: Value;
  readonly recomputed: Value;
}

/** What comparing the values of one feature came to. */
export interface SkewCounts {
  readonly of: string;
  readonly feature: string;
  readonly compared: number;
  /** Both have a value, and it is not the same, or its status is not. */
  readonly mismatched: number;
  /** There is a value, and none was served. */
  readonly missing: number;
  /** A value was served where there is none. */
  readonly extra: number;
}

export interface FeatureSkew extends SkewCounts {
  readonly differences: Differences | null;
  readonly examples: readonly SkewExample[];
}

/** The same as it was counted: plain JSON data, which merges. */
export interface TalliedFeature extends SkewCounts {
  readonly differences: ColumnSketch;
  readonly examples: readonly SkewExample[];
}

const EXAMPLES_MAX = 5;
/** Differences gathered before they are counted together. */
const GATHERED_MAX = 1024;

interface Tallied {
  readonly of: string;
  readonly feature: string;
  compared: number;
  mismatched: number;
  missing: number;
  extra: number;
  gathered: Map<number, number>;
  readonly differences: ColumnSketch;
  readonly examples: SkewExample[];
}

export class SkewTally {
  readonly #features = new Map<string, Tallied>();

  add({ of, feature, served, recomputed, isSame, entity, asOfMicros }: Compared): void {
    const tallied = this.#of(of, feature);
    tallied.compared++;
    if (isSame) return;
    if (served === null && recomputed !== null) tallied.missing++;
    else if (served !== null && recomputed === null) tallied.extra++;
    else tallied.mismatched++;
    if (tallied.examples.length < EXAMPLES_MAX) {
      tallied.examples.push({ entity, as_of_micros: asOfMicros, served: plain(served), recomputed: plain(recomputed) });
    }
    if (typeof served !== "number" || typeof recomputed !== "number") return;
    const difference = served - recomputed;
    tallied.gathered.set(difference, (tallied.gathered.get(difference) ?? 0) + 1);
    if (tallied.gathered.size >= GATHERED_MAX) count(tallied);
  }

  /** Adds what another tally has counted, and changes nothing of it. */
  merge({ of, feature, compared, mismatched, missing, extra, differences, examples }: TalliedFeature): void {
    const tallied = this.#of(of, feature);
    tallied.compared += compared;
    tallied.mismatched += mismatched;
    tallied.missing += missing;
    tallied.extra += extra;
    mergeSketch(tallied.differences, differences);
    tallied.examples.push(...examples.slice(0, EXAMPLES_MAX - tallied.examples.length));
  }

  /** In the order in which they came first. Good until something is added. */
  tallied(): TalliedFeature[] {
    return Array.from(this.#features.values(), (tallied) => {
      count(tallied);
      const { gathered: _, ...counts } = tallied;
      return counts;
    });
  }

  /** By feature, those that differ most first. */
  features(): FeatureSkew[] {
    const all = Array.from(this.#features.values(), (tallied): FeatureSkew => {
      count(tallied);
      const { gathered: _, differences, ...counts } = tallied;
      return { ...counts, differences: differencesOf(differences) };
    });
    return all.toSorted(
      (a, b) => ratioOf(b) - ratioOf(a) || (`${a.of} ${a.feature}` < `${b.of} ${b.feature}` ? -1 : 1),
    );
  }

  #of(of: string, feature: string): Tallied {
    const key = `${of} ${feature}`;
    let tallied = this.#features.get(key);
    if (tallied === undefined) {
      tallied = {
        of,
        feature,
        compared: 0,
        mismatched: 0,
        missing: 0,
        extra: 0,
        gathered: new Map(),
        differences: emptySketch(),
        examples: [],
      };
      this.#features.set(key, tallied);
    }
    return tallied;
  }
}

/** The share of the values that were compared which differ in any way. */
export function ratioOf({
  compared,
  mismatched,
  missing,
  extra,
}: Pick<FeatureSkew, "compared" | "mismatched" | "missing" | "extra">): number {
  return compared === 0 ? 0 : (mismatched + missing + extra) / compared;
}

/** As JSON has it: what JSON has not, as text. */
function plain(value: Value): Value {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return Object.is(value, -0) ? "-0" : String(value);
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

function count(tallied: Tallied): void {
  addValues(tallied.differences, { name: "float64" }, tallied.gathered);
  tallied.gathered = new Map();
}

function differencesOf(sketch: ColumnSketch): Differences | null {
  const { mean, stddev, min, max, quantiles, quantileError } = profileOf(sketch);
  if (mean === null || min === null || max === null) return null;
  const [, p05, , p50, , p95] = quantiles as number[];
  return {
    count: sketch.moments[0],
    mean,
    stddev,
    min,
    max,
    p05: p05!,
    p50: p50!,
    p95: p95!,
    relative_error: quantileError,
  };
}
