/** How fresh one running source is, in microseconds since 1970. */
import type { ViewRunner } from "../../ingest/view-runner.ts";

export interface RuntimeFreshness {
  /** Null before its first event. */
  readonly lastEventAt: number | null;
  /** Null where all events are folded. */
  readonly oldestUnfoldedAt: number | null;
  readonly runners: readonly ViewRunner[];
}
