/**
 * What is served in place of a view's values while what it promises of its freshness is broken. The same function for
 * serving, for training on rows as they were served, and for the audit.
 */
import type { Fallback, FeatureDefinition } from "../define/definition.ts";
import { type ReadBuffer, Status } from "./view-fold.ts";

/** A fallback that changes values: it stands in the token of a vector that was served with it. */
export type ServedFallback = Exclude<Fallback, "flag">;

/**
 * Puts it into what was read. "null": every value is null, with the status of a value that is too old. "default": the
 * feature's default, with the status that it has where nothing is known; without one as "null". "flag" leaves what was read.
 */
export function fallBack(features: readonly FeatureDefinition[], fallback: Fallback, read: ReadBuffer): void {
  if (fallback === "flag") return;
  for (const [slot, { default: value }] of features.entries()) {
    const hasDefault = fallback === "default" && value !== undefined;
    read.values[slot] = hasDefault ? value : null;
    read.statuses[slot] = hasDefault ? Status.NULL_VALUE : Status.OUTSIDE_MAX_AGE;
    read.errors[slot] = 0;
  }
}

/** As labels carry it, a byte each; 0 for none. */
export const FALLBACK_CODES: Readonly<Record<ServedFallback, number>> = { null: 1, default: 2 };

export function fallbackOfCode(code: number): ServedFallback {
  return code === FALLBACK_CODES.null ? "null" : "default";
}
