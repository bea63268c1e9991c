/**
 * How long a state can matter to what is read: after that every value is the one of an unseen entity.
 *
 * A value has what its window has, and that is nothing once its newest event has left; a value with a TTL is null once
 * that is over, which says the same only where an unseen entity reads as null, too. So it is after the longest window
 * or TTL, if each feature has one of them, and never before `forgetAfter`.
 *
 * This is of reads alone: what folds on needs the state itself, however old. Nor is the status among what stays the
 * same: an unseen entity is `NOT_FOUND`.
 */
import type { FeaturePlan, ViewPlan } from "./view-plan.ts";

/** Microseconds from a state's last event; Infinity where there is no such time. `emptyValues` are an unseen entity's. */
export function emptiesAfterMicros({ features, forgetAfterMicros }: ViewPlan, emptyValues: readonly unknown[]): number {
  const ends = features.map((feature, i) => endMicros(feature, emptyValues[i]));
  return Math.max(Number.isFinite(forgetAfterMicros) ? forgetAfterMicros : 0, ...ends);
}

function endMicros({ ttlMicros, feature: { over } }: FeaturePlan, emptyValue: unknown): number {
  if (Number.isFinite(ttlMicros)) return emptyValue === null ? ttlMicros : Number.POSITIVE_INFINITY;
  if (over?.kind === "time") return over.micros;
  return over?.kind === "session" ? over.maxMicros : Number.POSITIVE_INFINITY;
}
