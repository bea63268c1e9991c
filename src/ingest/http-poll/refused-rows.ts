/**
 * Rows that the door refused a moment ago: an API goes on offering them, and one dead letter of each is enough.
 *
 * Kept in memory and of bounded number, so after a restart, or past the bound, a row may become a letter once more.
 */
import { createHash } from "node:crypto";
import type { ErrorCode } from "../../base/errors.ts";
import { MICROS_PER_MINUTE } from "../../base/micros.ts";

const ROWS_MAX = 10_000;
/** What is refused for its time alone is tried again: time passes. */
const AHEAD_MICROS = 10 * MICROS_PER_MINUTE;

export class RefusedRows {
  /** Until when a row is passed over, by its digest; oldest first. */
  readonly #until = new Map<string, number>();

  has(row: unknown, now: number): boolean {
    if (this.#until.size === 0) return false;
    const digest = digestOf(row);
    const until = this.#until.get(digest);
    if (until === undefined) return false;
    if (until <= now) this.#until.delete(digest);
    return until > now;
  }

  /** Whether one of them may get in later. */
  get areAwaited(): boolean {
    for (const until of this.#until.values()) if (until !== Number.POSITIVE_INFINITY) return true;
    return false;
  }

  add(row: unknown, code: ErrorCode, now: number): void {
    const digest = digestOf(row);
    this.#until.delete(digest);
    this.#until.set(digest, code === "EVENT_TOO_FAR_AHEAD" ? now + AHEAD_MICROS : Number.POSITIVE_INFINITY);
    if (this.#until.size > ROWS_MAX) this.#until.delete(this.#until.keys().next().value!);
  }
}

function digestOf(row: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(row) ?? "")
    .digest("base64");
}
