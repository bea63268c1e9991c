/**
 * The drift of a service: each feature of what is looked at now against the same of a baseline.
 */
import { setImmediate } from "node:timers/promises";
import type { DriftSettings } from "./choose-measure.ts";
import type { DriftWindow } from "./drift-window.ts";
import { type FeatureDrift, featureDrift } from "./feature-drift.ts";

/** Values from somewhere, and where that was. */
export interface DriftSide {
  /** As it was asked for: "training:ID", "range:A..B", "last:24h". */
  readonly source: string;
  /** Whether all values were counted one by one, or those of a sketch. */
  readonly isExact: boolean;
  readonly window: DriftWindow;
}

export interface ReportedFeature extends FeatureDrift {
  /** `view@version` it comes from. */
  readonly view: string;
}

export interface DriftReport {
  readonly service: string;
  readonly createdMicros: number;
  readonly baseline: DriftSide;
  readonly current: DriftSide;
  readonly features: readonly ReportedFeature[];
  readonly drifted: number;
  /** Features that one side has and the other has not. */
  readonly unmatched: readonly string[];
  /** Whether at least half of the features drifted, as Evidently's preset judges a data set. */
  readonly isDrifted: boolean;
}

/** Evidently's `drift_share`. */
const DRIFTED_PART = 0.5;

/** Takes turns between features, so that a server goes on. Throws `REQUEST_INVALID` where a setting does not fit. */
export async function driftReport(
  baseline: DriftSide,
  current: DriftSide,
  settings: DriftSettings,
  createdMicros: number,
): Promise<DriftReport> {
  const before = new Map(baseline.window.features.map((feature) => [feature.name, feature]));
  const features: ReportedFeature[] = [];
  const unmatched: string[] = [];
  for (const now of current.window.features) {
    const reference = before.get(now.name);
    before.delete(now.name);
    if (reference === undefined) {
      unmatched.push(now.name);
      continue;
    }
    const drift = featureDrift(now, reference.profile, now.profile, settings);
    features.push({ ...drift, view: now.view });
    await setImmediate();
  }
  const drifted = features.filter(({ isDrifted }) => isDrifted).length;
  return {
    service: current.window.service,
    createdMicros,
    baseline,
    current,
    features,
    drifted,
    unmatched: [...unmatched, ...before.keys()],
    isDrifted: features.length > 0 && drifted >= DRIFTED_PART * features.length,
  };
}
