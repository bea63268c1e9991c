/**
 * A push, or an import, that is refused whole because of one of its rows: an expectation of its source blocks it.
 */
import { diagnostics } from "../base/diagnostics.ts";
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { Door } from "./door.ts";
import { isBlocking } from "./expectations.ts";

/** The refusal of a whole push, or an import, for one of its rows, counted from 1. */
export function blocked(error: OnefoldError, row: number, where: string): OnefoldError {
  return new OnefoldError("PUSH_BLOCKED", `row ${row}: ${error.message}`, {
    where,
    hint: "nothing of it was taken in: mend the row, or have the expectation quarantine such rows",
  });
}

/** Rows looked at before other work gets its turn. */
const ROWS_PER_TURN = 2000;

/** Throws `PUSH_BLOCKED` for the first row that blocks the push. Free of cost where nothing may. */
export async function refuseBlocked(door: Door, source: string, rows: readonly unknown[]): Promise<void> {
  if (!door.blocks) return;
  for (let place = 0; place < rows.length; place++) {
    if (place > 0 && place % ROWS_PER_TURN === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    try {
      // At the end of time: whether an event is too far ahead is no matter of expectations.
      door.check(rows[place], Number.POSITIVE_INFINITY as Micros);
    } catch (error) {
      // Others are refused on their own, when the push is taken in.
      if (!isBlocking(error)) continue;
      if (diagnostics.blocked.hasSubscribers) diagnostics.blocked.publish({ source, expectation: error.where! });
      throw blocked(error, place + 1, source);
    }
  }
}
