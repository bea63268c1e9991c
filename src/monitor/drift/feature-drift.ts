/**
 * Whether one feature has drifted: its profile now against one from before.
 *
 * Beside the measure that judges it stand an effect size, which does not grow with the number of values, and the p-value
 * of a test that takes both sides for samples: an alert that is to stay quiet wants both.
 */
import { OnefoldError } from "../../base/errors.ts";
import { type Cells, categoryCells, DISTINCT_MAX, numericCells } from "./cells.ts";
import { type ChosenMeasure, chooseMeasure, type DriftSettings, isBeyond, type MeasureName } from "./choose-measure.ts";
import { exactly, type Measured } from "./measured.ts";
import { type MissingDrift, missingDrift } from "./missing-drift.ts";
import { kolmogorovSmirnov, ksTest, normedWasserstein } from "./numeric-measures.ts";
import type { Profile } from "./profile.ts";
import {
  chiSquareOfParts,
  chiSquareOfSamples,
  jensenShannon,
  lInfinity,
  populationStability,
  proportionsOfCells,
} from "./share-measures.ts";

/** An effect below this is small, whatever the p-value. */
export const EFFECT_MIN = 0.1;

export interface FeatureDrift {
  readonly feature: string;
  readonly kind: Profile["kind"];
  /** Null where values are not compared, or there are too few. */
  readonly judged: Judged | null;
  /** Why not; null where it was. */
  readonly reason: string | null;
  readonly missing: MissingDrift;
  readonly isDrifted: boolean;
  readonly reference: Profile;
  readonly current: Profile;
  /** What both were counted in, for plots; null where nothing was. */
  readonly cells: Cells | null;
}

export interface Judged extends ChosenMeasure, Measured {
  readonly isBeyond: boolean;
  readonly effect: Effect;
  readonly test: {
    readonly name: "ks" | "chisquare";
    readonly statistic: number;
    readonly pValue: number;
    readonly method: "exact" | "asymptotic";
  };
  /** Every measure that fits the feature. */
  readonly all: Readonly<Partial<Record<MeasureName, number>>>;
}

export interface Effect {
  /** Numbers: the distance of Kolmogorov and Smirnov, 0 to 1. Categories: the Jensen-Shannon distance, 0 to 0.83. */
  readonly measure: "ks_distance" | "jensenshannon";
  readonly value: number;
  readonly threshold: number;
}

export interface ComparedFeature {
  readonly name: string;
  /** Its values are int64. */
  readonly isInteger: boolean;
}

/** Throws `REQUEST_INVALID` where a setting does not fit the feature. */
export function featureDrift(
  { name, isInteger }: ComparedFeature,
  reference: Profile,
  current: Profile,
  settings: DriftSettings = {},
): FeatureDrift {
  const missing = missingDrift(reference, current, settings.missingThreshold);
  const of = { feature: name, kind: reference.kind, missing, reference, current };
  const refused = (reason: string): FeatureDrift => {
    return { ...of, judged: null, reason, isDrifted: missing.isDrifted, cells: null };
  };
  const { samplesMin = 1 } = settings;
  if (reference.kind !== current.kind) return refused(`it was ${reference.kind} and is ${current.kind}`);
  if (reference.kind === "presence") return refused("values of its type are not compared");
  if (reference.count < samplesMin || reference.count === 0) return refused(tooFew("baseline", reference.count));
  if (current.count < samplesMin || current.count === 0) return refused(tooFew("current values", current.count));
  const { cells, judged } = judge(name, isInteger, reference, current, settings);
  return { ...of, judged, reason: null, isDrifted: judged.isBeyond || missing.isDrifted, cells };
}

function tooFew(what: string, count: number): string {
  return count === 0 ? `there are no values in the ${what}` : `there are only ${count} values in the ${what}`;
}

function judge(
  name: string,
  isInteger: boolean,
  reference: Profile,
  current: Profile,
  settings: DriftSettings,
): { readonly cells: Cells; readonly judged: Judged } {
  const isNumeric = reference.kind === "numeric" && current.kind === "numeric";
  const cells = isNumeric
    ? numericCells(reference, current, isInteger)
    : categoryCells(...([reference, current] as Parameters<typeof categoryCells>));
  const distinct = distinctOf(reference, current, cells);
  const kind = isNumeric ? "numeric" : "category";
  const chosen = chooseMeasure(name, kind, { referenceCount: reference.count, distinct }, settings);

  const shares = jensenShannon(cells);
  const measured: Partial<Record<MeasureName, Measured>> = { psi: populationStability(cells), jensenshannon: shares };
  let effect: Effect = { measure: "jensenshannon", value: shares.value, threshold: EFFECT_MIN };
  let test: Judged["test"];
  if (isNumeric) {
    const distance = kolmogorovSmirnov(reference, current);
    const { method, ...ks } = ksTest(distance, reference, current, settings.exactTestMax);
    measured.ks = ks;
    measured.wasserstein = normedWasserstein(reference, current);
    effect = { measure: "ks_distance", value: distance.value, threshold: EFFECT_MIN };
    test = { name: "ks", statistic: distance.value, pValue: ks.value, method };
  } else {
    measured.l_infinity = lInfinity(cells);
    test = { name: "chisquare", ...chiSquareOfSamples(cells), method: "asymptotic" };
  }
  // Tests of values one by one: where they are counted in intervals, they are none.
  if (cells.labels !== null) {
    const unbounded = (value: number): Measured =>
      cells.isApproximate ? { value, low: null, high: null } : exactly(value);
    measured.chisquare = unbounded(chiSquareOfParts(cells).pValue);
    measured.z = unbounded(proportionsOfCells(cells).pValue);
  }
  const value = measured[chosen.measure];
  if (value === undefined) {
    throw new OnefoldError("REQUEST_INVALID", `feature "${name}" cannot be measured by ${chosen.measure}`, {
      hint: `more than ${DISTINCT_MAX} of its values differ: ${Object.keys(measured).join(", ")}`,
    });
  }
  const all = Object.fromEntries(Object.entries(measured).map(([measure, one]) => [measure, one.value]));
  const beyond = isBeyond(value.value, chosen.measure, chosen.threshold);
  return { cells, judged: { ...chosen, ...value, isBeyond: beyond, effect, test, all } };
}

/** How many values of both sides differ; null where a sketch does not know, which is many. */
function distinctOf(reference: Profile, current: Profile, cells: Cells): number | null {
  if (cells.isApproximate) return null;
  if (cells.labels !== null) return cells.labels.length;
  if (reference.kind !== "numeric" || current.kind !== "numeric") return null;
  return Math.max(reference.bins.keys.length, current.bins.keys.length);
}
