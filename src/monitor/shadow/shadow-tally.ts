/**
 * A version held against another on live traffic, counted: by feature how often values differ and by how much, whether the
 * values have drifted apart, and what a value costs; of the whole vector how long it takes.
 */
import type { Value, ValueType } from "../../schema/value.ts";
import { featureDrift } from "../drift/feature-drift.ts";
import { quantile } from "../drift/numeric-profile.ts";
import { type ProfileBuilder, profileBuilder } from "../drift/profile-builder.ts";
import { profileKindOf, SKETCH } from "../drift/profile.ts";
import { type FeatureSkew, SkewTally } from "../skew/skew-tally.ts";

/** A value of a vector. */
export interface ShadowValue {
  readonly name: string;
  readonly type: ValueType;
  readonly value: Value;
  /** What reading it took: its part of what its view took. */
  readonly micros: number;
}

export interface ShadowVector {
  readonly micros: number;
  readonly values: readonly ShadowValue[];
}

export interface ShadowPair {
  readonly served: ShadowVector;
  readonly shadow: ShadowVector;
  readonly entity: Readonly<Record<string, unknown>>;
  readonly asOfMicros: number;
}

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

export interface ShadowComparison {
  readonly compared: number;
  readonly latency: { readonly served: LatencySummary; readonly shadow: LatencySummary } | null;
  readonly features: readonly ComparedFeature[];
  /** Names that the other has not, with what a value of them costs. */
  readonly served_alone: readonly { readonly feature: string; readonly micros: number }[];
  readonly shadow_alone: readonly { readonly feature: string; readonly micros: number }[];
}

interface Side {
  readonly type: ValueType;
  readonly profile: ProfileBuilder;
  micros: number;
  count: number;
}

export class ShadowTally {
  readonly #skew = new SkewTally();
  readonly #sides = { served: new Map<string, Side>(), shadow: new Map<string, Side>() };
  readonly #latency = { served: profileBuilder("numeric", SKETCH), shadow: profileBuilder("numeric", SKETCH) };
  #compared = 0;

  add({ served, shadow, entity, asOfMicros }: ShadowPair): void {
    this.#compared++;
    this.#latency.served.add(served.micros);
    this.#latency.shadow.add(shadow.micros);
    const byName = new Map(served.values.map((one) => [one.name, one]));
    for (const one of served.values) this.#count("served", one);
    for (const one of shadow.values) {
      this.#count("shadow", one);
      const other = byName.get(one.name);
      if (other === undefined) continue;
      const isSame = sameValue(other.value, one.value);
      const [feature, recomputed] = [one.name, one.value];
      this.#skew.add({ of: "", feature, served: other.value, recomputed, isSame, entity, asOfMicros });
    }
  }

  comparison(): ShadowComparison {
    const { served, shadow } = this.#sides;
    const alone = (
      side: ReadonlyMap<string, Side>,
      other: ReadonlyMap<string, Side>,
    ): ShadowComparison["served_alone"] =>
      [...side].filter(([name]) => !other.has(name)).map(([feature, one]) => ({ feature, micros: costOf(one) }));
    return {
      compared: this.#compared,
      latency:
        this.#compared === 0
          ? null
          : { served: summaryOf(this.#latency.served), shadow: summaryOf(this.#latency.shadow) },
      features: this.#skew.features().map(({ of: _, missing, extra, ...skew }) => {
        const [before, after] = [served.get(skew.feature)!, shadow.get(skew.feature)!];
        return {
          ...skew,
          only_in_shadow: missing,
          only_served: extra,
          drift: driftOf(skew.feature, before, after),
          served_micros: costOf(before),
          shadow_micros: costOf(after),
        };
      }),
      served_alone: alone(served, shadow),
      shadow_alone: alone(shadow, served),
    };
  }

  #count(side: "served" | "shadow", { name, type, value, micros }: ShadowValue): void {
    let counted = this.#sides[side].get(name);
    if (counted === undefined) {
      counted = { type, profile: profileBuilder(profileKindOf(type), SKETCH), micros: 0, count: 0 };
      this.#sides[side].set(name, counted);
    }
    counted.profile.add(value);
    counted.micros += micros;
    counted.count++;
  }
}

function driftOf(name: string, served: Side, shadow: Side): ComparedFeature["drift"] {
  const isInteger = shadow.type.name === "int64";
  const { judged, reason, isDrifted } = featureDrift(
    { name, isInteger },
    served.profile.profile(),
    shadow.profile.profile(),
  );
  return {
    drifted: isDrifted,
    measure: judged?.measure ?? null,
    value: judged?.value ?? null,
    threshold: judged?.threshold ?? null,
    effect: judged?.effect.value ?? null,
    reason,
  };
}

function summaryOf(latency: ProfileBuilder): LatencySummary {
  const profile = latency.profile();
  if (profile.kind !== "numeric") throw new Error("latencies are numbers");
  const at = (share: number): number => rounded(quantile(profile, share));
  return { mean_micros: rounded(profile.mean), p50_micros: at(0.5), p95_micros: at(0.95), p99_micros: at(0.99) };
}

function costOf({ micros, count }: Side): number {
  return rounded(micros / count);
}

function rounded(micros: number): number {
  return Math.round(micros * 100) / 100;
}

/** To the bit. */
function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item: Value, i) => sameValue(item, b[i] as Value));
  }
  return Object.is(a, b);
}
