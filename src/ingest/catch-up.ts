/**
 * Brings a view to where its source stands, beside the views that are there already.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { EventLog } from "./event-log.ts";
import type { ViewRunner } from "./view-runner.ts";

/** Folds the log into `runner` until it stands at `position()`, where live ones do, and calls `then` at that very place. */
export async function catchUp(
  runner: ViewRunner,
  log: EventLog,
  position: () => number,
  then: () => void,
): Promise<void> {
  while (runner.position < position()) {
    const end = position();
    for await (const events of log.read(runner.position)) {
      const wanted = events.filter((event) => event.offset < end);
      runner.fold(wanted, 0, wanted.length);
      if (wanted.length < events.length) break;
      await nextTurn();
    }
  }
  then();
}
