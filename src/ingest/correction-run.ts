/**
 * Corrections as they stand in the log: runs of retractions, each of which an event with its id may follow to take the
 * place of what it takes back.
 *
 * A run is what one call appended, in one frame. It is folded as one piece: who reads a state finds it before the run or
 * behind it. Everything before a run is archived when the run is appended, so that a run can be folded from the archive
 * and itself, whenever that is.
 */
import { isRetraction, type LogEvent } from "./event.ts";

/** What a run does to the entities of one view. */
export interface RefoldedRun<S> {
  /** Entities that lose an event, with their states folded anew from the events before the run that count behind it. */
  readonly states: ReadonlyMap<string, S>;
  /** The entities that lose an event by the retraction at an offset. */
  readonly hit: ReadonlyMap<number, readonly string[]>;
  /** Offsets of events of the run that the run itself takes back. */
  readonly takenBack: ReadonlySet<number>;
  /** What is lost is forgotten: an entity that has no event left is gone, as if none had come. */
  readonly forgets?: true;
}

export type LogPiece =
  | { readonly kind: "events"; readonly events: readonly LogEvent[] }
  | { readonly kind: "run"; readonly events: readonly LogEvent[] };

/** The log's events in order, runs of corrections apart from the others. Runs known at the same time may come as one. */
export async function* runsApart(batches: AsyncIterable<readonly LogEvent[]>): AsyncIterableIterator<LogPiece> {
  let run: LogEvent[] = [];
  for await (const batch of batches) {
    let plain: LogEvent[] = [];
    for (const event of batch) {
      if (run.length > 0 && !goesOn(run, event)) {
        yield { kind: "run", events: run };
        run = [];
      }
      if (run.length > 0 || isRetraction(event)) {
        if (plain.length > 0) yield { kind: "events", events: plain };
        plain = [];
        run.push(event);
      } else plain.push(event);
    }
    if (plain.length > 0) yield { kind: "events", events: plain };
  }
  if (run.length > 0) yield { kind: "run", events: run };
}

function goesOn(run: readonly LogEvent[], event: LogEvent): boolean {
  const last = run.at(-1)!;
  if (event.knownTime !== last.knownTime) return false;
  return isRetraction(event) || (isRetraction(last) && event.id === last.id);
}
