/** What the exit code of `onefold` means. Scripts rely on these: they never change. */
import type { ErrorCode } from "../base/errors.ts";

export const EXIT: {
  readonly ok: 0;
  /** The command failed; the error says why. */
  readonly failed: 1;
  /** The command line is wrong. */
  readonly usage: 2;
  /** Definitions or their apply were refused, or `plan --check` found changes that are not applied. */
  readonly refused: 3;
  /** The audit found values that do not match. */
  readonly mismatch: 4;
  /** `plan --detailed-exitcode` found changes that apply would make. Not 2, which says that the command line is wrong. */
  readonly changes: 5;
} = { ok: 0, failed: 1, usage: 2, refused: 3, mismatch: 4, changes: 5 };

const REFUSED: ReadonlySet<ErrorCode> = new Set([
  "DEFINITION_CHANGED",
  "DEFINITION_INVALID",
  "DEFINITION_IMPURE",
  "PLAN_STALE",
  "APPROVAL_REQUIRED",
]);

export function exitCodeOf(code: ErrorCode): number {
  return REFUSED.has(code) ? EXIT.refused : EXIT.failed;
}
