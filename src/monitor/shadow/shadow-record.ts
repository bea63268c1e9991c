/**
 * What was seen of one version beside another, by one process or by several, in any time: plain data. Records of parts merge
 * into that of the whole, and JSON has them to the bit.
 */
import { mergeProfiles, type Profile, SKETCH } from "../drift/profile.ts";
import { profileFromJson, profileToJson } from "../drift/profile-json.ts";
import { SkewTally, type TalliedFeature } from "../skew/skew-tally.ts";

export interface ShadowRecord {
  /** `service@version`: what was served, and what was computed beside it. */
  readonly served: string;
  readonly shadow: string;
  /** RFC 3339: when the first was seen. */
  readonly since: string;
  readonly compared: number;
  /** Not computed, as too many waited. */
  readonly dropped: number;
  /** Could not be computed, by error code. */
  readonly failed: Readonly<Record<string, number>>;
  /** Of the whole vector, in microseconds. */
  readonly latency: BothSides<Profile>;
  /** By feature. */
  readonly features: BothSides<ReadonlyMap<string, SeenFeature>>;
  readonly differences: readonly TalliedFeature[];
}

export interface BothSides<T> {
  readonly served: T;
  readonly shadow: T;
}

export interface SeenFeature {
  /** Its values are int64. */
  readonly isInteger: boolean;
  readonly profile: Profile;
  /** What reading its values took, all together. */
  readonly micros: number;
  readonly count: number;
}

/** Of the same two versions. A feature that changed its kind is the later record's alone. */
function mergeRecords(a: ShadowRecord, b: ShadowRecord): ShadowRecord {
  const tally = new SkewTally();
  for (const one of [...a.differences, ...b.differences]) tally.merge(one);
  return {
    served: a.served,
    shadow: a.shadow,
    since: a.since < b.since ? a.since : b.since,
    compared: a.compared + b.compared,
    dropped: a.dropped + b.dropped,
    failed: sums(a.failed, b.failed),
    latency: both((side) => mergeProfiles(a.latency[side], b.latency[side], SKETCH)),
    features: both((side) => mergeFeatures(a.features[side], b.features[side])),
    differences: tally.tallied(),
  };
}

/** One record of each two versions that any of them is of. */
export function mergeAll(records: readonly ShadowRecord[]): ShadowRecord[] {
  const merged = new Map<string, ShadowRecord>();
  for (const record of records) {
    const key = `${record.served} ${record.shadow}`;
    const before = merged.get(key);
    merged.set(key, before === undefined ? record : mergeRecords(before, record));
  }
  return [...merged.values()];
}

function mergeFeatures(
  a: ReadonlyMap<string, SeenFeature>,
  b: ReadonlyMap<string, SeenFeature>,
): ReadonlyMap<string, SeenFeature> {
  const merged = new Map(a);
  for (const [name, after] of b) {
    const before = merged.get(name);
    const isSame = before !== undefined && before.profile.kind === after.profile.kind;
    merged.set(name, isSame ? mergeFeature(before, after) : after);
  }
  return merged;
}

function mergeFeature(before: SeenFeature, after: SeenFeature): SeenFeature {
  return {
    isInteger: after.isInteger,
    profile: mergeProfiles(before.profile, after.profile, SKETCH),
    micros: before.micros + after.micros,
    count: before.count + after.count,
  };
}

function sums(a: ShadowRecord["failed"], b: ShadowRecord["failed"]): ShadowRecord["failed"] {
  const all = new Map(Object.entries(a));
  for (const [code, count] of Object.entries(b)) all.set(code, (all.get(code) ?? 0) + count);
  return Object.fromEntries(all);
}

function both<T>(of: (side: "served" | "shadow") => T): BothSides<T> {
  return { served: of("served"), shadow: of("shadow") };
}

export function recordToJson({ latency, features, ...record }: ShadowRecord): object {
  return {
    ...record,
    latency: both((side) => profileToJson(latency[side])),
    features: both((side) =>
      Array.from(features[side], ([name, one]) => ({ name, ...one, profile: profileToJson(one.profile) })),
    ),
  };
}

type FeatureJson = Omit<SeenFeature, "profile"> & { readonly name: string; readonly profile: unknown };

/** Throws an `Error` of what was not written by `recordToJson`. */
export function recordFromJson(json: unknown): ShadowRecord {
  const { latency, features, ...record } = json as Omit<ShadowRecord, "latency" | "features"> & {
    readonly latency: BothSides<unknown>;
    readonly features: BothSides<readonly FeatureJson[]>;
  };
  return {
    ...record,
    latency: both((side) => profileFromJson(latency[side])),
    features: both(
      (side) =>
        new Map(
          features[side].map(({ name, profile, ...one }) => [name, { ...one, profile: profileFromJson(profile) }]),
        ),
    ),
  };
}
