/**
 * Which measure judges a feature, and from where on it has drifted: by default what Evidently 0.7.21 chooses
 * (`_get_default_stattest`) by type, number of values and reference rows, with its thresholds.
 */
import { OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import type { ProfileKind } from "./profile.ts";

/** Named as Evidently names them. */
export type MeasureName = "psi" | "ks" | "jensenshannon" | "wasserstein" | "chisquare" | "z" | "l_infinity";

/** With at most so many reference values a test judges, with more a distance. */
export const SMALL_REFERENCE_MAX = 1000;
/** Numbers of which no more differ are compared as categories. */
export const FEW_VALUES_MAX = 5;

export interface MeasureRule {
  readonly threshold: number;
  /** A p-value is beyond its threshold below it, a distance above it; "at-most" and "at-least" with the threshold itself. */
  readonly beyond: "at-most" | "below" | "at-least";
  readonly kinds: readonly ProfileKind[];
}

const BOTH: readonly ProfileKind[] = ["numeric", "category"];

/** Evidently's thresholds and comparisons; L-infinity has no default there, nor in TensorFlow Data Validation. */
export const MEASURES: Readonly<Record<MeasureName, MeasureRule>> = {
  psi: { threshold: 0.1, beyond: "at-least", kinds: BOTH },
  ks: { threshold: 0.05, beyond: "at-most", kinds: ["numeric"] },
  jensenshannon: { threshold: 0.1, beyond: "at-least", kinds: BOTH },
  wasserstein: { threshold: 0.1, beyond: "at-least", kinds: ["numeric"] },
  chisquare: { threshold: 0.05, beyond: "below", kinds: BOTH },
  z: { threshold: 0.05, beyond: "below", kinds: BOTH },
  l_infinity: { threshold: 0.1, beyond: "at-least", kinds: ["category"] },
};

/** What a user may set, for all features or for one of a name. */
export interface DriftSetting {
  readonly measure?: MeasureName;
  readonly threshold?: number;
}

export interface DriftSettings extends DriftSetting {
  /** By the feature's name. */
  readonly features?: Readonly<Record<string, DriftSetting>>;
  /** Below so many values on either side nothing is judged. Default 1. */
  readonly samplesMin?: number;
  /** The p-value of `ks` is counted up to so many values a side, else approximated. Default 10,000, as SciPy's. */
  readonly exactTestMax?: number;
  /** Of the test of missing values. Default 0.05. */
  readonly missingThreshold?: number;
}

export interface ChosenMeasure {
  readonly measure: MeasureName;
  readonly threshold: number;
}

/** `distinct` values of both sides together; null where more than a sketch tells apart. */
export function chooseMeasure(
  feature: string,
  kind: "numeric" | "category",
  sizes: { readonly referenceCount: number; readonly distinct: number | null },
  settings: DriftSettings,
): ChosenMeasure {
  const own = settings.features?.[feature];
  const measure = own?.measure ?? fittingMeasure(settings.measure, kind) ?? defaultMeasure(kind, sizes);
  if (!MEASURES[measure].kinds.includes(kind)) {
    throw new OnefoldError("REQUEST_INVALID", `feature "${feature}" cannot be measured by ${measure}`, {
      hint: `it is ${kind === "numeric" ? "numeric" : "categorical"}: ${measuresOf(kind).join(", ")}`,
    });
  }
  return { measure, threshold: own?.threshold ?? settings.threshold ?? MEASURES[measure].threshold };
}

/** Throws `REQUEST_INVALID`. */
export function measureNamed(name: string): MeasureName {
  if (Object.hasOwn(MEASURES, name)) return name as MeasureName;
  throw new OnefoldError("REQUEST_INVALID", `there is no drift measure "${name}"`, {
    hint: `one of ${Object.keys(MEASURES).join(", ")}`,
    candidates: nearestNames(name, Object.keys(MEASURES)),
  });
}

export function measuresOf(kind: ProfileKind): MeasureName[] {
  return (Object.keys(MEASURES) as MeasureName[]).filter((name) => MEASURES[name].kinds.includes(kind));
}

export function isBeyond(value: number, measure: MeasureName, threshold: number): boolean {
  const { beyond } = MEASURES[measure];
  if (beyond === "below") return value < threshold;
  return beyond === "at-most" ? value <= threshold : value >= threshold;
}

/** Of a measure set for all features: only for those that it fits. */
function fittingMeasure(measure: MeasureName | undefined, kind: ProfileKind): MeasureName | undefined {
  return measure !== undefined && MEASURES[measure].kinds.includes(kind) ? measure : undefined;
}

function defaultMeasure(
  kind: "numeric" | "category",
  { referenceCount, distinct }: { readonly referenceCount: number; readonly distinct: number | null },
): MeasureName {
  const isSmall = referenceCount <= SMALL_REFERENCE_MAX;
  if (kind === "numeric" && (distinct === null || distinct > FEW_VALUES_MAX)) return isSmall ? "ks" : "wasserstein";
  if (!isSmall) return "jensenshannon";
  return distinct === null || distinct > 2 ? "chisquare" : "z";
}
