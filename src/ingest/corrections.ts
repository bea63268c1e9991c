/**
 * Corrections of events that were let in: an event is taken back, or another one takes its place.
 *
 * Each names an event by its id. What it does to the log is a retraction of the id and, for a replacement, the new event
 * behind it, which has the id from then on and goes through the door as any event does.
 */
import { asOnefoldError, type ErrorCode, OnefoldError } from "../base/errors.ts";
import type { SourceDefinition, StreamDefinition } from "../define/definition.ts";
import type { EventsOfId } from "../offline-store/retractions.ts";
import { type CheckedRow, isRetraction, type LogEvent, retractionOf } from "./event.ts";

export type Correction =
  | { readonly op: "retract"; readonly id: string }
  /** `event` is a whole row of the source, with the same id. */
  | { readonly op: "replace"; readonly id: string; readonly event: unknown };

export type CorrectionOutcome =
  /** `offset` of the retraction, or of the new event; `events` that were taken back. */
  | { readonly status: "retracted" | "replaced"; readonly id: string; readonly offset: number; readonly events: number }
  | { readonly status: "rejected"; readonly id: string; readonly code: ErrorCode; readonly message: string };

export interface CorrectionResult {
  readonly corrected: number;
  readonly rejected: number;
  /** In the order of the corrections. */
  readonly outcomes: readonly CorrectionOutcome[];
}

/** Corrections in one call. */
export const CORRECTIONS_MAX = 1000;

export interface PlannedCorrections {
  /** To be appended in one frame. */
  readonly rows: readonly CheckedRow[];
  /** Told what they got in the log. */
  result(run: readonly LogEvent[]): CorrectionResult;
}

/** Throws `REQUEST_INVALID` for a source that takes no corrections, and for too many of them. */
export function refuseUncorrectable(source: SourceDefinition, corrections: readonly Correction[]): void {
  const where = source.name;
  if (source.kind === "batch") {
    throw new OnefoldError(
      "SOURCE_IS_BATCH",
      `source ${source.name} is a batch source: correct its rows where they are read`,
      {
        where,
      },
    );
  }
  if (source.kafka !== undefined) {
    throw new OnefoldError(
      "REQUEST_INVALID",
      `the events of source ${source.name} come from Kafka, and are corrected there`,
      { where, hint: "give onefold correct or retract --kafka HOSTS and --archive FOLDER: docs/kafka.md, Taking back" },
    );
  }
  refuseWithoutIds(source, corrections);
}

/** The source, where it is one whose events come from Kafka and can be corrected. Throws `REQUEST_INVALID` where not. */
export function refuseUncorrectableOnKafka(
  source: SourceDefinition,
  corrections: readonly Correction[],
): StreamDefinition {
  const where = source.name;
  if (source.kind === "batch" || source.kafka === undefined) {
    throw new OnefoldError("REQUEST_INVALID", `the events of source ${source.name} do not come from Kafka`, {
      where,
      hint: "correct them without --archive",
    });
  }
  if (source.kafka.direct === true) {
    throw new OnefoldError(
      "REQUEST_INVALID",
      `the topic of source ${source.name} is folded directly, where none can be corrected`,
      { where, hint: 'take "direct" away: its events are then routed to topics in which they can be' },
    );
  }
  refuseWithoutIds(source, corrections);
  return source;
}

function refuseWithoutIds(source: SourceDefinition, corrections: readonly Correction[]): void {
  const where = source.name;
  if (source.id === undefined) {
    throw new OnefoldError("REQUEST_INVALID", `the events of source ${source.name} have no ids to be corrected by`, {
      where,
      hint: 'declare the column that tells events apart: id: "payment_id"',
    });
  }
  if (corrections.length > CORRECTIONS_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `${corrections.length} corrections at once`, {
      where,
      hint: `send at most ${CORRECTIONS_MAX} in one call`,
    });
  }
}

/** `known` says of each id which events there are. What cannot be done is rejected by itself; the rest goes on. */
export function planCorrections(
  source: SourceDefinition,
  corrections: readonly Correction[],
  known: ReadonlyMap<string, EventsOfId>,
  checkRow: (row: unknown) => CheckedRow,
): PlannedCorrections {
  const rows: CheckedRow[] = [];
  const counting = new Map([...known].map(([id, events]) => [id, events.counting]));
  const planned = corrections.map(
    (correction): { readonly place: number; readonly events: number } | CorrectionOutcome => {
      const { id } = correction;
      try {
        const events = counting.get(id);
        if (events === undefined) throw unknownEvent(source, id, "there is no event of this id");
        if (correction.op === "retract" && events === 0)
          throw unknownEvent(source, id, "the event was taken back already");
        const event = correction.op === "replace" ? checkedEvent(source, correction, checkRow) : null;
        rows.push(retractionOf(id, source.columns.length));
        if (event !== null) rows.push(event);
        counting.set(id, event === null ? 0 : 1);
        return { place: rows.length - 1, events };
      } catch (error) {
        const { code, message } = asOnefoldError(error);
        return { status: "rejected", id, code, message };
      }
    },
  );
  return {
    rows,
    result: (run) => {
      const outcomes = planned.map((one): CorrectionOutcome => {
        if ("status" in one) return one;
        const event = run[one.place]!;
        const status = isRetraction(event) ? "retracted" : "replaced";
        return { status, id: event.id!, offset: event.offset, events: one.events };
      });
      const rejected = outcomes.filter(({ status }) => status === "rejected").length;
      return { corrected: outcomes.length - rejected, rejected, outcomes };
    },
  };
}

function checkedEvent(
  source: SourceDefinition,
  { id, event }: Correction & { readonly op: "replace" },
  checkRow: (row: unknown) => CheckedRow,
): CheckedRow {
  const checked = checkRow(event);
  if (checked.id === id) return checked;
  throw new OnefoldError("REQUEST_INVALID", `the new event has the id ${checked.id}, not ${id}`, { where: source.id! });
}

function unknownEvent(source: SourceDefinition, id: string, message: string): OnefoldError {
  return new OnefoldError("EVENT_UNKNOWN", `${message}: ${id.slice(0, 100)}`, { where: source.name });
}
