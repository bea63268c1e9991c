/**
 * Session windows: the events behind an entity's last gap, found at read on the shared bucket list.
 *
 *        gap          gap > g             <= g       <= g    asOf - newest <= g
 *     o o    o o o  <--------->  [ bucket ]    o o o    o  <------------------> asOf
 *     not in the session         |------------- the session ------------|
 *
 * Walking from asOf to the oldest event in reach, `(asOf - max, asOf]`, the session ends at the first event
 * that is followed by nothing for longer than the gap. All events of the entity make its sessions; a
 * feature's predicate chooses among them, as it does among the last n.
 *
 * Why the walk sees every gap although old events are merged into buckets:
 *
 * - a bucket keeps the times of its first and last event, and no two buckets or records overlap in time, so
 *   what lies between two neighbours of the list is known to the microsecond;
 * - inside a bucket there is no gap to see. `hopForSession` is at most the gap, and any bucket that can still
 *   be in reach spans less than that hop (`hopsByLength`), hence less than the gap;
 * - a late event either falls inside a bucket, between its first and last event, where it parts and joins
 *   nothing; or it gets a place of its own, and joins two sessions exactly where it bridges their gap;
 * - what compaction drops is older than the longest window and session of the view can reach, for ever.
 *
 * So a session is exact but where `max` cuts it: there a bucket that straddles `asOf - max` is left out, as at
 * the edge of a time window, and `windowStart` says so.
 *
 * `windowStart`, as everywhere, is such that the value covers the events in `(windowStart, asOf]`:
 *
 * - asOf, where there is no present session;
 * - one microsecond before the session's first event, as a rule;
 * - `asOf - max`, where the session reaches back to within a hop of that: no event lies between, as the gap
 *   before the session is at least a hop long;
 * - the end of the straddling bucket, later than `asOf - max` by less than a hop, where that was left out of
 *   the session: in this case alone does `windowStart` lie inside that hop, which is how a reader knows it.
 */
import type { BucketLayout } from "./bucket-layout.ts";
import type { BucketList, WindowCut } from "./bucket-list.ts";
import { hopForSession, type Session } from "./hop-ladder.ts";

/** A session window and the hop that its reach is held to. */
export interface SessionWindow extends Session {
  readonly hopMicros: number;
}

export function sessionWindow(session: Session): SessionWindow {
  return { ...session, hopMicros: hopForSession(session) };
}

/** Finds where the session present at `asOf` begins; `asOf` is not before any event of the list. */
export function cutSession(
  list: BucketList,
  layout: BucketLayout,
  { gapMicros, maxMicros, hopMicros }: SessionWindow,
  asOf: number,
  into: WindowCut,
): void {
  const edge = asOf - maxMicros;
  list.cut(layout, edge, into);
  const { stride, rawStride } = layout;
  const oldest = { bucket: into.bucket, raw: into.raw };
  let follower = asOf;

  into.raw = list.rawCount;
  while (into.raw > oldest.raw) {
    const time = list.raw.numbers[(list.rawStart + into.raw - 1) * rawStride]!;
    if (follower - time > gapMicros) break;
    follower = time;
    into.raw--;
  }
  // where the walk over the records stopped at a gap, the newest bucket lies behind that gap too
  into.bucket = list.bucketCount;
  while (into.bucket > oldest.bucket) {
    const at = (list.bucketStart + into.bucket - 1) * stride;
    if (follower - list.buckets.numbers[at + 1]! > gapMicros) break;
    follower = list.buckets.numbers[at]!;
    into.bucket--;
  }

  const reachesOldest = into.raw === oldest.raw && into.bucket === oldest.bucket;
  if (reachesOldest && into.windowStart > edge && follower - into.windowStart <= gapMicros) return;
  if (into.raw === list.rawCount && into.bucket === list.bucketCount) into.windowStart = asOf;
  else into.windowStart = follower - 1 < edge + hopMicros ? edge : follower - 1;
}
