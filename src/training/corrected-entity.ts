/**
 * The events of one entity some of which are taken back: kept as they come, so that the state can be folded anew from
 * those that count.
 *
 *     e0  e1  e2  mark(e1)  e3          before the mark: e0 e1 e2; behind it: e0 e2 mark e3
 *
 * A mark makes the state stale, and only who asks for it has it folded: marks that follow each other cost one fold.
 */
import { asOnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { EntityEventBatch } from "../offline-store/event-reader.ts";
import type { Row, Value } from "../schema/value.ts";
import type { FoldEvent, FoldOutcome, ViewFold, ViewState } from "../fold/view-fold.ts";

export interface CorrectableEvent extends FoldEvent {
  /** Offset of the mark that takes it back; Infinity for none. */
  readonly retractedAt: number;
  /** Why the view cannot take it, where a derived column throws. */
  readonly poison: string | null;
}

/** An event or mark of a batch, with a row that may be kept. `derive` computes derived columns, and may throw. */
export function correctableEvent(
  batch: EntityEventBatch,
  index: number,
  storedColumnCount: number,
  derive: ((stored: Value[]) => Row) | null,
): CorrectableEvent {
  let row: Row = Array.from<Value>({ length: storedColumnCount }).fill(null);
  let poison: string | null = null;
  const eventTime = batch.eventTime[index]! as Micros;
  if (!Number.isNaN(eventTime)) {
    batch.fillRow(index, row as Value[]);
    try {
      // What derives may fill one array again and again.
      if (derive !== null) row = [...derive(row as Value[])];
    } catch (error) {
      poison = asOnefoldError(error).message;
    }
  }
  return {
    offset: batch.offset[index]!,
    eventTime,
    knownTime: batch.knownTime[index]! as Micros,
    row,
    poison,
    retractedAt: batch.retractions?.at[index] ?? Number.POSITIVE_INFINITY,
  };
}

export class CorrectedEntity {
  readonly #fold: ViewFold;
  readonly #told: (outcome: FoldOutcome) => void;
  #events: CorrectableEvent[] = [];
  /** Events folded into the state; those behind are folded by whoever asks for it. */
  #folded = 0;
  /** Events that were told of: folding one anew tells nothing new. */
  #toldCount = 0;
  #state: ViewState;

  /** `told` is called once for each event that is folded, with what came of it. */
  constructor(fold: ViewFold, told: (outcome: FoldOutcome) => void) {
    this.#fold = fold;
    this.#told = told;
    this.#state = fold.empty();
  }

  /** The next event or, with a NaN event time, mark, in offset order. The row is kept. */
  add(event: CorrectableEvent): void {
    if (Number.isNaN(event.eventTime)) {
      // Those that count keep their order; how many were told of does not change by it.
      const toldOf = this.#events.slice(0, this.#toldCount).filter((one) => one.retractedAt !== event.offset).length;
      // What was never folded is not told of: it came between two marks, and nobody read the state in between.
      this.#events = this.#events.filter((one) => one.retractedAt !== event.offset);
      this.#toldCount = toldOf;
      this.#folded = 0;
      this.#state = this.#fold.empty();
    }
    this.#events.push(event);
  }

  /** Of the events and marks so far. */
  state(): ViewState {
    for (; this.#folded < this.#events.length; this.#folded++) {
      const event = this.#events[this.#folded]!;
      const outcome: FoldOutcome =
        event.poison === null ? this.#fold.fold(this.#state, event) : { kind: "poison", message: event.poison };
      if (this.#folded < this.#toldCount) continue;
      this.#toldCount++;
      if (!Number.isNaN(event.eventTime)) this.#told(outcome);
    }
    return this.#state;
  }
}
