/**
 * The entities of a view whose last event is the longest ago. Nobody keeps that up: all states are looked at, in slices, so
 * that requests get their turns in between.
 */
import { setImmediate } from "node:timers/promises";
import { lastEventTimeIn } from "../../fold/state-codec.ts";
import type { ViewRunner } from "../../ingest/view-runner.ts";
import type { EntityKey } from "../../schema/entity-key.ts";

/** About a millisecond. */
const SLICE_STATES = 200;

export interface OldEntity {
  readonly key: EntityKey;
  readonly lastEventAt: number;
}

/** At most `count` of them, the oldest first; as of what is stored. */
export async function oldestEntities(
  runner: Pick<ViewRunner, "storedStates">,
  count: number,
): Promise<readonly OldEntity[]> {
  let oldest: OldEntity[] = [];
  let after: EntityKey | undefined;
  for (;;) {
    let read = 0;
    for (const { key, bytes } of runner.storedStates(after)) {
      after = key;
      const lastEventAt = lastEventTimeIn(bytes);
      if (Number.isFinite(lastEventAt) && (oldest.length < count || lastEventAt < oldest.at(-1)!.lastEventAt)) {
        oldest.push({ key, lastEventAt });
        oldest = oldest.sort((a, b) => a.lastEventAt - b.lastEventAt).slice(0, count);
      }
      if (++read === SLICE_STATES) break;
    }
    if (read < SLICE_STATES) return oldest;
    await setImmediate();
  }
}
