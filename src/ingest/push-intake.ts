/**
 * The first half of a push: every row through the door, every id claimed, before anything is written.
 */
import { asOnefoldError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import type { Door } from "./door.ts";
import type { EventIds } from "./event-ids.ts";
import type { CheckedRow } from "./event.ts";
import { reasonOf } from "./expectations.ts";
import type { RowFaults, RowNames, RowOutcome, RowReason } from "./pipeline.ts";

/** Rows checked before other work gets its turn. */
const ROWS_PER_TURN = 500;

export interface PushIntake {
  /** One a row: duplicates are settled, the rest null. */
  readonly outcomes: (RowOutcome | null)[];
  /** The rows to be appended, and each one's place in the push. */
  readonly checked: CheckedRow[];
  readonly places: number[];
  /** The rows refused. */
  readonly rejected: { readonly place: number; readonly letter: NewDeadLetter; readonly reason: RowReason }[];
  /** What must be durable before this push's duplicates may be called so. */
  readonly waitFor: Set<Promise<unknown>>;
  /** Duplicates that hold something else than the first event of their id. */
  differing: number;
}

export interface IntakeOptions {
  readonly door: Door;
  readonly ids: EventIds;
  readonly clock: Clock;
  readonly faults: RowFaults;
  readonly nameOf?: RowNames;
  /** Known time of the log's newest event. */
  lastKnownTime(): number;
  /** Settles when this push's rows are durable, or never will be. */
  readonly durable: Promise<unknown>;
}

export async function takeIn(rows: readonly unknown[], options: IntakeOptions): Promise<PushIntake> {
  const { door, ids, clock, durable, faults, nameOf } = options;
  const intake: PushIntake = {
    outcomes: Array.from<null>({ length: rows.length }).fill(null),
    checked: [],
    places: [],
    rejected: [],
    waitFor: new Set(),
    differing: 0,
  };
  let now = clock.now();
  for (let place = 0; place < rows.length; place++) {
    if (place > 0 && place % ROWS_PER_TURN === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      now = clock.now();
    }
    let row: CheckedRow;
    try {
      const fault = faults.get(place);
      if (fault !== undefined) throw fault;
      row = door.check(rows[place], now);
      if (row.id === null && nameOf !== undefined) row = { ...row, id: nameOf(place) };
    } catch (error) {
      const named = nameOf === undefined ? {} : { id: `row/${nameOf(place)}` };
      const letter: NewDeadLetter = { stage: "door", ...reasonOf(error), payload: rows[place], ...named };
      intake.rejected.push({ place, letter, reason: rowReason(error) });
      continue;
    }
    if (row.id !== null) {
      const taken = ids.claim(row.id, row.row, Math.max(now, options.lastKnownTime()), durable);
      if (taken !== null) {
        if (taken.durable !== durable) intake.waitFor.add(taken.durable);
        if (taken.differs) intake.differing++;
        intake.outcomes[place] = { status: "duplicate", id: row.id, ...(taken.differs ? { differs: true } : {}) };
        continue;
      }
    }
    intake.checked.push(row);
    intake.places.push(place);
  }
  return intake;
}

function rowReason(error: unknown): RowReason {
  const { where, hint, candidates = [] } = asOnefoldError(error);
  return {
    ...(where === undefined ? {} : { where }),
    ...(hint === undefined ? {} : { hint }),
    ...(candidates.length === 0 ? {} : { candidates }),
  };
}
