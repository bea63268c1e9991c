/**
 * Folds the log into a view beside the live ones, until it stands where they do.
 *
 * What is there at first is folded at the given pace; what comes meanwhile is not, or it might come faster for ever. States
 * are written as they add up: before their view's position, which is written later, so that folding them again skips what
 * they hold.
 */
import { OnefoldError } from "../base/errors.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";
import type { BackfillPace } from "./backfill-pace.ts";
import { runsApart } from "./correction-run.ts";
import type { EventLog } from "./event-log.ts";
import type { LogEvent } from "./event.ts";
import type { FileEventLog } from "./file-event-log.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import { nextTurn } from "./turns.ts";
import type { ViewRunner } from "./view-runner.ts";

/** Changed states kept back. */
const DIRTY_STATES_MAX = 20_000;

export interface CatchUp {
  readonly log: Pick<EventLog, "read">;
  readonly runner: ViewRunner;
  /** Where the live views stand. */
  readonly end: () => number;
  readonly foldRun: (run: readonly LogEvent[]) => Promise<void>;
  readonly pace?: BackfillPace | undefined;
  /** Writes the runner's changed states and nothing else, where nobody else writes them. */
  readonly writeStates?: () => Promise<void>;
}

/** Calls `then` at the very place, before anything else can be folded. */
export async function catchUp(
  { log, runner, end, foldRun, pace, writeStates }: CatchUp,
  then: () => void,
): Promise<void> {
  for (let isFirst = true; runner.position < end(); isFirst = false) {
    const upTo = end();
    for await (const { kind, events } of runsApart(log.read(runner.position))) {
      pace?.resume();
      const wanted = events.filter((event) => event.offset < upTo);
      if (kind === "run") await foldRun(wanted);
      else runner.fold(wanted, 0, wanted.length);
      if (writeStates !== undefined && runner.dirtyCount > DIRTY_STATES_MAX) await writeStates();
      if (wanted.length < events.length) break;
      await (isFirst && pace !== undefined ? pace.rest() : nextTurn());
    }
  }
  then();
}

export interface FoldedRun {
  readonly run: readonly LogEvent[];
  readonly runners: readonly ViewRunner[];
  readonly source: string;
  /** That the run is in. */
  readonly log: FileEventLog;
  readonly refold: SourcePipelineOptions["refold"];
  /** Resolves once all may be folded, in the turn in which it does. */
  readonly mayFold: () => Promise<void>;
}

/** Folds a run of corrections into the views that have not folded it, all in one turn once it is known what it does to each. */
export async function foldRunInto({ run, runners, source, log, refold, mayFold }: FoldedRun): Promise<void> {
  const behind = runners.flatMap((runner) => {
    const events = run.filter(({ offset }) => offset >= runner.position);
    return events.length === 0 ? [] : [{ runner, events }];
  });
  if (refold === undefined) throw new OnefoldError("INTERNAL", `source ${source} cannot fold corrections`);
  const refolded = [];
  for (const { runner, events } of behind) {
    try {
      refolded.push(await refold(runner.view, events, log));
    } catch (error) {
      throw isTableRefused(error) ? correctionWaits(source, events[0]!.offset, error) : error;
    }
  }
  await mayFold();
  for (const [i, { runner, events }] of behind.entries()) runner.foldRun(events, refolded[i]!);
}

/** It is in the log, and so are all events behind it. */
function correctionWaits(source: string, offset: number, refusal: OnefoldError): OnefoldError {
  return new OnefoldError(
    "TABLE_INVALID",
    `the correction at ${offset} of source ${source} waits for its table: ${refusal.message}`,
    {
      where: refusal.where ?? `events/${source}`,
      hint: `it is in the log, and is folded by itself once the table is restored${refusal.hint === undefined ? "" : `: ${refusal.hint}`}`,
      cause: refusal,
    },
  );
}

/** Views cannot go on from where the log does not reach. */
export function logLost(end: number, folded: number, where: string): OnefoldError {
  const hint = "the end of the log was lost: restore it from a copy, or rebuild the views from the offline tables";
  return new OnefoldError("LOG_CORRUPT", `the event log ends at ${end}, but ${folded} events were folded`, {
    where,
    hint,
  });
}
