/** What is told of a push: to whoever pushed, row by row, and to whoever watches the fold. */
import { diagnostics } from "../base/diagnostics.ts";
import type { Micros } from "../base/micros.ts";
import type { LogEvent } from "./event.ts";
import type { PushResult, RowOutcome } from "./pipeline.ts";
import type { PushIntake } from "./push-intake.ts";

/** `events` are those that were appended, `letters` the ones stored of the rejected rows. */
export function pushResult({
  outcomes,
  places,
  rejected,
  events,
  letters,
}: Pick<PushIntake, "outcomes" | "places" | "rejected"> & {
  readonly events: readonly LogEvent[];
  readonly letters: readonly { readonly id: string }[];
}): PushResult {
  for (let i = 0; i < events.length; i++) outcomes[places[i]!] = { status: "accepted", offset: events[i]!.offset };
  for (const [i, { place, letter, reason }] of rejected.entries()) {
    const { code, message } = letter;
    outcomes[place] = { status: "rejected", code, message, ...reason, deadLetterId: letters[i]?.id ?? "" };
  }
  return {
    accepted: events.length,
    duplicates: outcomes.length - events.length - rejected.length,
    rejected: rejected.length,
    outcomes: outcomes as RowOutcome[],
  };
}

/** That `events[from..to)` were folded into the views of a source, and how long it took. */
export function tellFolded(
  source: string,
  runners: ReadonlyMap<string, unknown>,
  slice: { readonly events: readonly LogEvent[]; readonly from: number; readonly to: number },
  nowMicros: Micros,
  durationMs: number,
): void {
  diagnostics.folded.publish({ source, views: runners.keys(), runners, ...slice, nowMicros, durationMs });
}
