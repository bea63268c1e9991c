/**
 * A report as signals: for each feature that could be judged one of its values and one of its missing values.
 */
import { serviceSubject } from "../service-subject.ts";
import type { Signal, SignalSubject } from "../signal.ts";
import type { DriftReport, ReportedFeature } from "./drift-report.ts";
import { MEASURES } from "./choose-measure.ts";
import { summaryOf } from "./report-json.ts";

export function driftSignals(report: DriftReport): Signal[] {
  return report.features.flatMap((feature) => [
    ...(feature.judged === null ? [] : [valueSignal(report, feature, feature.judged)]),
    missingSignal(report, feature),
  ]);
}

function valueSignal(
  report: DriftReport,
  feature: ReportedFeature,
  judged: NonNullable<ReportedFeature["judged"]>,
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
      effect_size: effect.value,
      effect_threshold: effect.threshold,
      effect_beyond: effect.value >= effect.threshold,
      test: test.name,
      baseline: report.baseline.source,
      before: summaryOf(feature.reference),
      now: summaryOf(feature.current),
    },
  };
}

function missingSignal(report: DriftReport, feature: ReportedFeature): Signal {
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
      effect_size: effect,
      effect_threshold: effectThreshold,
      effect_beyond: effect >= effectThreshold,
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
