/**
 * Brings a view to where its source stands, beside the views that are there already.
 */
import { OnefoldError } from "../base/errors.ts";
import { runsApart } from "./correction-run.ts";
import type { EventLog } from "./event-log.ts";
import type { LogEvent } from "./event.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import { nextTurn } from "./turns.ts";
import type { ViewRunner } from "./view-runner.ts";

export interface CatchUpOptions {
  readonly log: EventLog;
  /** Where the live views stand. */
  position(): number;
  /** Folds a run of corrections into the view. */
  foldRun(run: readonly LogEvent[]): Promise<void>;
}

/** Folds the log into a runner until it stands where the live ones do, and calls `then` at that very place. */
export async function catchUp(runner: ViewRunner, options: CatchUpOptions, then: () => void): Promise<void> {
  const { log, position, foldRun } = options;
  while (runner.position < position()) {
    const end = position();
    for await (const { kind, events } of runsApart(log.read(runner.position))) {
      const wanted = events.filter((event) => event.offset < end);
      if (kind === "run") await foldRun(wanted);
      else runner.fold(wanted, 0, wanted.length);
      if (wanted.length < events.length) break;
      await nextTurn();
    }
  }
  then();
}

/** Folds a run of corrections into the views that have not folded it, all in one turn once it is known what it does to each. */
export async function foldRunInto(
  run: readonly LogEvent[],
  runners: readonly ViewRunner[],
  source: string,
  refold: SourcePipelineOptions["refold"],
): Promise<void> {
  const behind = runners.flatMap((runner) => {
    const events = run.filter(({ offset }) => offset >= runner.position);
    return events.length === 0 ? [] : [{ runner, events }];
  });
  if (refold === undefined) throw new OnefoldError("INTERNAL", `source ${source} cannot fold corrections`);
  const refolded = [];
  for (const { runner, events } of behind) refolded.push(await refold(runner.view, events));
  for (const [i, { runner, events }] of behind.entries()) runner.foldRun(events, refolded[i]!);
}

/** Views cannot go on from where the log does not reach. */
export function logLost(end: number, folded: number, where: string): OnefoldError {
  const hint = "the end of the log was lost: restore it from a copy, or rebuild the views from the offline tables";
  return new OnefoldError("LOG_CORRUPT", `the event log ends at ${end}, but ${folded} events were folded`, {
    where,
    hint,
  });
}
