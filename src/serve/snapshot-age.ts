/** How old states may be that another process folds, as answers say it. */
import type { Micros } from "../base/micros.ts";
import type { AnswerBytes } from "./answer-bytes.ts";
import { writeThousandths } from "./time-bytes.ts";
import type { JsonSchema } from "./route.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** Of answers whose body has no place for it: the age of the oldest states that it was read from, in milliseconds. */
export const SNAPSHOT_AGE_HEADER = "x-onefold-snapshot-age-ms";

export const snapshotAgeHeaders: Readonly<Record<string, JsonSchema>> = {
  [SNAPSHOT_AGE_HEADER]: {
    type: "number",
    description:
      "of a server with several processes: how far the values may be behind the events folded at the moment they are read at, in milliseconds; of the row furthest behind",
  },
};

const NAME = Uint8Array.from(Buffer.from(',"snapshot_age_ms":'));

/** As `snapshotAgeMicros`, in milliseconds. */
export function snapshotAgeMs(plan: VectorPlan, asOf: Micros): number | null {
  const age = snapshotAgeMicros(plan, asOf);
  return age === null ? null : age / 1000;
}

/** As a member of the metadata, behind others; nothing where it is null. */
export function writeSnapshotAge(plan: VectorPlan, asOf: Micros, out: AnswerBytes): void {
  const age = snapshotAgeMicros(plan, asOf);
  if (age === null) return;
  out.all(NAME);
  writeThousandths(age, out);
}

/**
 * By how much the states may be behind what was folded at the vector's time, the oldest among its views';
 * null where they are live, or nobody says of one of them.
 */
function snapshotAgeMicros(plan: VectorPlan, asOf: Micros): number | null {
  let oldest = Number.POSITIVE_INFINITY;
  for (const { view } of plan.views) {
    const { snapshotTime = Number.POSITIVE_INFINITY } = view;
    if (snapshotTime === null) return null;
    oldest = Math.min(oldest, snapshotTime);
  }
  return oldest === Number.POSITIVE_INFINITY ? null : Math.max(0, Math.ceil(asOf - oldest));
}
