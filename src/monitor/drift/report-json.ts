/**
 * A drift report as JSON: what `onefold drift --json` prints and `GET /drift` answers.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { DriftReport, DriftSide, ReportedFeature } from "./drift-report.ts";
import { quantile, standardDeviation } from "./numeric-profile.ts";
import type { Profile } from "./profile.ts";

type Json = Readonly<Record<string, unknown>>;

const TOP = 10;

export function reportToJson(report: DriftReport): Json {
  const { service, createdMicros, baseline, current, features, drifted, unmatched, isDrifted } = report;
  return {
    service,
    created_at: timeText(createdMicros),
    baseline: sideToJson(baseline),
    current: sideToJson(current),
    features: features.map(featureToJson),
    drifted_features: drifted,
    unmatched_features: unmatched,
    drifted: isDrifted,
  };
}

export function sideToJson({ source, isExact, window }: DriftSide): Json {
  const { fit, startMicros, endMicros, vectors } = window;
  return { source, exact: isExact, fit, from: timeText(startMicros), until: timeText(endMicros), vectors };
}

function featureToJson(drift: ReportedFeature): Json {
  const { feature, view, kind, judged, reason, missing, isDrifted, reference, current } = drift;
  return {
    feature,
    view,
    kind,
    drifted: isDrifted,
    measure: judged?.measure ?? null,
    value: judged?.value ?? null,
    low: judged?.low ?? null,
    high: judged?.high ?? null,
    threshold: judged?.threshold ?? null,
    beyond: judged?.isBeyond ?? false,
    effect: judged?.effect ?? null,
    test:
      judged === null
        ? null
        : {
            name: judged.test.name,
            statistic: judged.test.statistic,
            p_value: judged.test.pValue,
            method: judged.test.method,
          },
    measures: judged?.all ?? {},
    reason,
    missing: {
      baseline: missing.reference,
      current: missing.current,
      p_value: missing.pValue,
      threshold: missing.threshold,
      effect: missing.effect,
      effect_threshold: missing.effectThreshold,
      drifted: missing.isDrifted,
    },
    baseline: summaryOf(reference),
    current: summaryOf(current),
  };
}

/** What people want to see of a distribution. */
export function summaryOf(profile: Profile): Json {
  const { count, missing } = profile;
  if (profile.kind === "numeric" && count > 0) {
    const { min, max, mean } = profile;
    const quantiles = Object.fromEntries([0.01, 0.25, 0.5, 0.75, 0.99].map((q) => [String(q), quantile(profile, q)]));
    return { values: count, missing, mean, std: standardDeviation(profile), min, max, quantiles };
  }
  if (profile.kind === "category") {
    const top = [...profile.counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, TOP);
    return { values: count, missing, top };
  }
  return { values: count, missing };
}

/** Null where no time is known. */
function timeText(micros: number): string | null {
  return Number.isFinite(micros) ? formatMicros(micros as Micros) : null;
}
