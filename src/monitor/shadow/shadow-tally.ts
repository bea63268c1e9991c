/**
 * A version held against another on live traffic, counted: by feature how often values differ and by how much, how they are
 * distributed, and what a value costs; of the whole vector how long it takes.
 */
import type { ErrorCode } from "../../base/errors.ts";
import type { Value, ValueType } from "../../schema/value.ts";
import { type ProfileBuilder, profileBuilder } from "../drift/profile-builder.ts";
import { profileKindOf, SKETCH } from "../drift/profile.ts";
import { SkewTally } from "../skew/skew-tally.ts";
import type { SeenFeature, ShadowRecord } from "./shadow-record.ts";

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

interface Side {
  readonly isInteger: boolean;
  readonly profile: ProfileBuilder;
  micros: number;
  count: number;
}

export class ShadowTally {
  readonly #of: Pick<ShadowRecord, "served" | "shadow" | "since">;
  readonly #skew = new SkewTally();
  readonly #sides = { served: new Map<string, Side>(), shadow: new Map<string, Side>() };
  readonly #latency = { served: profileBuilder("numeric", SKETCH), shadow: profileBuilder("numeric", SKETCH) };
  readonly #failed = new Map<string, number>();
  #compared = 0;
  #dropped = 0;

  constructor(of: Pick<ShadowRecord, "served" | "shadow" | "since">) {
    this.#of = of;
  }

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

  /** It could not be computed. */
  failed(code: ErrorCode): void {
    this.#failed.set(code, (this.#failed.get(code) ?? 0) + 1);
  }

  /** So many were not computed, as too many waited. */
  dropped(count: number): void {
    this.#dropped += count;
  }

  /** Of all so far; good until something is added. */
  record(): ShadowRecord {
    return {
      ...this.#of,
      compared: this.#compared,
      dropped: this.#dropped,
      failed: Object.fromEntries(this.#failed),
      latency: { served: this.#latency.served.profile(), shadow: this.#latency.shadow.profile() },
      features: { served: seen(this.#sides.served), shadow: seen(this.#sides.shadow) },
      differences: this.#skew.tallied(),
    };
  }

  #count(side: "served" | "shadow", { name, type, value, micros }: ShadowValue): void {
    let counted = this.#sides[side].get(name);
    if (counted === undefined) {
      const profile = profileBuilder(profileKindOf(type), SKETCH);
      counted = { isInteger: type.name === "int64", profile, micros: 0, count: 0 };
      this.#sides[side].set(name, counted);
    }
    counted.profile.add(value);
    counted.micros += micros;
    counted.count++;
  }
}

function seen(sides: ReadonlyMap<string, Side>): ReadonlyMap<string, SeenFeature> {
  return new Map(Array.from(sides, ([name, { profile, ...side }]) => [name, { ...side, profile: profile.profile() }]));
}

/** To the bit. */
function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item: Value, i) => sameValue(item, b[i] as Value));
  }
  return Object.is(a, b);
}
