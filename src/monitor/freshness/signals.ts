/**
 * What freshness tells the alerts: one signal for each thing that is measured, whether it is promised or not.
 */
import type { Signal } from "../signal.ts";
import type { FreshnessKind, Judged } from "./judge.ts";
import type { Violations } from "./violations.ts";

const MEASURES: Readonly<Record<FreshnessKind, string>> = {
  "pipeline-age": "age_seconds",
  "source-silence": "age_seconds",
  "entity-age": "stale_ratio",
};

export function freshnessSignals(judged: readonly Judged[], violations: Violations, now: number): Signal[] {
  return judged.map((one): Signal => {
    const { kind, source, view, value, threshold, isBroken, samples } = one;
    const { since, ratio24h } = violations.of(one, now);
    return {
      kind,
      subject: view === null ? { source } : { source, view },
      measure: MEASURES[kind],
      value,
      threshold,
      isBeyond: isBroken,
      pValue: null,
      samples,
      // How it stands at this moment: each look is one of its own.
      windowStartMicros: now,
      windowEndMicros: now,
      detail: { broken_since_micros: since, broken_ratio_24h: ratio24h },
    };
  });
}
