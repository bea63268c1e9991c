/**
 * A report as signals: for each feature that could be judged one of its values and one of its missing values. Those of what was
 * folded are of another kind, and their subject is a view.
 *
 * Its effect is told to be beyond where it is more than small, and far from what is usual of an hour.
 */
import { serviceSubject } from "../service-subject.ts";
import type { Signal, SignalSubject } from "../signal.ts";
import type { DriftReport, ReportedFeature } from "./drift-report.ts";
import { MEASURES } from "./choose-measure.ts";
import { summaryOf } from "./report-json.ts";
import { newsFrom, type UsualEffects } from "./usual-effects.ts";

/** What the effects can be at most. */
const EFFECT_MOST = { ks_distance: 1, jensenshannon: Math.sqrt(Math.LN2) } as const;
const COHENS_H_MOST = Math.PI;

export type DriftOf = "served" | "folded";

export function driftSignals(report: DriftReport, usual: UsualEffects, of: DriftOf = "served"): Signal[] {
  const signals = report.features.flatMap((feature) => {
    const { values, missing } = usual.get(feature.feature) ?? { values: 0, missing: 0 };
    return [
      ...(feature.judged === null ? [] : [valueSignal(report, feature, feature.judged, values)]),
      missingSignal(report, feature, missing),
    ];
  });
  return of === "served" ? signals : signals.map(ofFolded);
}

/** Its windows have the view in the place of the service. */
function ofFolded(signal: Signal): Signal {
  const { service: _, ...subject } = signal.subject;
  return { ...signal, subject, kind: signal.kind === "drift" ? "folded-drift" : "folded-missing-drift" };
}

function valueSignal(
  report: DriftReport,
  feature: ReportedFeature,
  judged: NonNullable<ReportedFeature["judged"]>,
  usual: number,
): Signal {
  const { measure, value, threshold, isBeyond, effect, test } = judged;
  return {
    ...frame(report, feature),
    kind: "drift",
    measure: MEASURES[measure].beyond === "at-least" ? measure : `${measure}_p_value`,
    value,
    threshold,
    isBeyond,
    pValue: test.pValue,
    samples: feature.current.count,
    detail: {
      effect_measure: effect.measure,
      ...effectDetail(effect.value, effect.threshold, usual, EFFECT_MOST[effect.measure]),
      test: test.name,
      baseline: report.baseline.source,
      before: summaryOf(feature.reference),
      now: summaryOf(feature.current),
    },
  };
}

function effectDetail(size: number, least: number, usual: number, most: number) {
  const threshold = Math.max(least, newsFrom(usual, most));
  return {
    effect_size: size,
    effect_threshold: threshold,
    effect_beyond: size >= threshold,
    effect_usual: usual,
  };
}

function missingSignal(report: DriftReport, feature: ReportedFeature, usual: number): Signal {
  const { reference, current, pValue, threshold, effect, effectThreshold, isDrifted } = feature.missing;
  return {
    ...frame(report, feature),
    kind: "missing-drift",
    measure: "missing_p_value",
    value: pValue,
    threshold,
    isBeyond: isDrifted,
    pValue,
    samples: feature.current.count + feature.current.missing,
    detail: {
      effect_measure: "cohens_h",
      ...effectDetail(effect, effectThreshold, usual, COHENS_H_MOST),
      baseline: report.baseline.source,
      missing_before: reference,
      missing_now: current,
    },
  };
}

function frame(
  { current }: DriftReport,
  { feature, view }: ReportedFeature,
): { readonly subject: SignalSubject; readonly windowStartMicros: number; readonly windowEndMicros: number } {
  const { service, fit, startMicros, endMicros } = current.window;
  return {
    subject: { service: serviceSubject(service, fit), view, feature },
    windowStartMicros: startMicros,
    windowEndMicros: endMicros,
  };
}
