/**
 * A feature's profile: all that drift is computed from. With no bound on its bins or categories it is exact; with the
 * bounds of a sketch it takes little room and can be merged. Both go through the same measures.
 */
import type { ValueType } from "../../schema/value.ts";
import { CATEGORIES_MAX, type CategoryProfile, mergeCategories, NO_CATEGORIES } from "./category-profile.ts";
import { mergeNumbers, NO_NUMBERS, type NumericProfile } from "./numeric-profile.ts";
import { VALUE_BINS_MAX } from "./value-bins.ts";

/** Of values whose distribution is not compared (timestamps, bytes, arrays): whether they were there. */
export interface PresenceProfile {
  readonly kind: "presence";
  readonly count: number;
  readonly missing: number;
}

export type Profile = NumericProfile | CategoryProfile | PresenceProfile;
export type ProfileKind = Profile["kind"];

/** What a profile may take. */
export interface ProfileBounds {
  readonly binsMax: number;
  readonly categoriesMax: number;
}

export const SKETCH: ProfileBounds = { binsMax: VALUE_BINS_MAX, categoriesMax: CATEGORIES_MAX };
export const EXACT: ProfileBounds = {
  binsMax: Number.POSITIVE_INFINITY,
  categoriesMax: Number.POSITIVE_INFINITY,
};

/** Times move on by themselves, and bytes and arrays have no order: only their presence is compared. */
export function profileKindOf(type: ValueType): ProfileKind {
  switch (type.name) {
    case "float64":
      return "numeric";
    case "int64":
      return type.wide === true ? "category" : "numeric";
    case "string":
    case "bool":
      return "category";
    default:
      return "presence";
  }
}

export function emptyProfile(kind: ProfileKind): Profile {
  if (kind === "numeric") return NO_NUMBERS;
  return kind === "category" ? NO_CATEGORIES : { kind, count: 0, missing: 0 };
}

/** Throws a plain `Error` where they are of different kinds. */
export function mergeProfiles(a: Profile, b: Profile, { binsMax, categoriesMax }: ProfileBounds): Profile {
  if (a.kind === "numeric" && b.kind === "numeric") return mergeNumbers(a, b, binsMax);
  if (a.kind === "category" && b.kind === "category") return mergeCategories(a, b, categoriesMax);
  if (a.kind !== b.kind) throw new Error(`a ${a.kind} profile cannot be merged with one of ${b.kind}`);
  return { kind: "presence", count: a.count + b.count, missing: a.missing + b.missing };
}
