/**
 * Rows as a test writes them: plain ones, ones that became known late, and ones that the door must refuse.
 */
import type { ErrorCode } from "../base/errors.ts";
import type { InputOfKind } from "../define/typing.ts";

/** ISO 8601 text, a Date, `{ micros }` or `{ millis }`. */
export type TimeInput = InputOfKind<"timestamp">;

/** A row with what the test knows about it. `R` is the row it stands for; never, where it fits no source. */
export class GivenRow<R> {
  declare readonly "~row"?: R;
  readonly row: unknown;
  readonly knownAt: TimeInput | undefined;
  readonly rejectedWith: ErrorCode | undefined;

  constructor(row: unknown, knownAt: TimeInput | undefined, rejectedWith: ErrorCode | undefined) {
    this.row = row;
    this.knownAt = knownAt;
    this.rejectedWith = rejectedWith;
    Object.freeze(this);
  }
}

/** The row became known at `knownAt`, not when it happened. */
export function late<R>(row: R, options: { readonly knownAt: TimeInput }): GivenRow<R> {
  const given = givenRow(row);
  return new GivenRow(given.row, options.knownAt, given.rejectedWith);
}

/**
 * The door, or the fold (`EVENT_POISON`), must refuse the row with this code: the test fails where it is let
 * in, or refused for another reason. The row may have any shape.
 */
export function rejected(row: unknown, code: ErrorCode): GivenRow<never> {
  const given = givenRow(row);
  return new GivenRow(given.row, given.knownAt, code);
}

/** A plain row without marks; a marked one as it is. */
export function givenRow(row: unknown): GivenRow<unknown> {
  return row instanceof GivenRow ? row : new GivenRow(row, undefined, undefined);
}
