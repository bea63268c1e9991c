/** What was seen of one version beside another, as it is shown: differences, drift, latency, and what a value costs. */
import { featureDrift } from "../drift/feature-drift.ts";
import { quantile } from "../drift/numeric-profile.ts";
import type { Profile } from "../drift/profile.ts";
import { type FeatureSkew, SkewTally } from "../skew/skew-tally.ts";
import type { SeenFeature, ShadowRecord } from "./shadow-record.ts";

export interface LatencySummary {
  readonly mean_micros: number;
  readonly p50_micros: number;
  readonly p95_micros: number;
  readonly p99_micros: number;
}

export interface ComparedFeature extends Omit<FeatureSkew, "of" | "missing" | "extra"> {
  /** There is a value in the shadow, and none was served; and the other way round. */
  readonly only_in_shadow: number;
  readonly only_served: number;
  readonly drift: {
    readonly drifted: boolean;
    readonly measure: string | null;
    readonly value: number | null;
    readonly threshold: number | null;
    readonly effect: number | null;
    readonly reason: string | null;
  };
  readonly served_micros: number;
  readonly shadow_micros: number;
}

export interface ShownComparison extends Pick<
  ShadowRecord,
  "served" | "shadow" | "since" | "compared" | "dropped" | "failed"
> {
  readonly latency: { readonly served: LatencySummary; readonly shadow: LatencySummary } | null;
  readonly features: readonly ComparedFeature[];
  /** Names that the other has not, with what a value of them costs. */
  readonly served_alone: readonly { readonly feature: string; readonly micros: number }[];
  readonly shadow_alone: readonly { readonly feature: string; readonly micros: number }[];
}

export function comparisonOf(record: ShadowRecord): ShownComparison {
  const { served, shadow, since, compared, dropped, failed, latency, features, differences } = record;
  const alone = (side: "served" | "shadow", other: "served" | "shadow"): ShownComparison["served_alone"] =>
    [...features[side]]
      .filter(([name]) => !features[other].has(name))
      .map(([feature, one]) => ({ feature, micros: costOf(one) }));
  const skew = new SkewTally();
  for (const one of differences) skew.merge(one);
  return {
    served,
    shadow,
    since,
    compared,
    dropped,
    failed,
    latency: compared === 0 ? null : { served: summaryOf(latency.served), shadow: summaryOf(latency.shadow) },
    features: skew.features().map(({ of: _, missing, extra, ...counts }) => {
      const [before, after] = [features.served.get(counts.feature)!, features.shadow.get(counts.feature)!];
      return {
        ...counts,
        only_in_shadow: missing,
        only_served: extra,
        drift: driftOf(counts.feature, before, after),
        served_micros: costOf(before),
        shadow_micros: costOf(after),
      };
    }),
    served_alone: alone("served", "shadow"),
    shadow_alone: alone("shadow", "served"),
  };
}

function driftOf(name: string, served: SeenFeature, shadow: SeenFeature): ComparedFeature["drift"] {
  const { isInteger } = shadow;
  const { judged, reason, isDrifted } = featureDrift({ name, isInteger }, served.profile, shadow.profile);
  return {
    drifted: isDrifted,
    measure: judged?.measure ?? null,
    value: judged?.value ?? null,
    threshold: judged?.threshold ?? null,
    effect: judged?.effect.value ?? null,
    reason,
  };
}

function summaryOf(profile: Profile): LatencySummary {
  if (profile.kind !== "numeric") throw new Error("latencies are numbers");
  const at = (share: number): number => rounded(quantile(profile, share));
  return { mean_micros: rounded(profile.mean), p50_micros: at(0.5), p95_micros: at(0.95), p99_micros: at(0.99) };
}

function costOf({ micros, count }: SeenFeature): number {
  return rounded(micros / count);
}

function rounded(micros: number): number {
  return Math.round(micros * 100) / 100;
}
