/**
 * An error as whoever asked is shown it: nothing of what went wrong inside, and no more of what was sent than it takes to
 * recognise it by.
 */
import { asOnefoldError, OnefoldError } from "../base/errors.ts";

const TEXT_LENGTH_MAX = 2000;

export function shownError(thrown: unknown, what: "request" | "command"): OnefoldError {
  const error = asOnefoldError(thrown);
  const { code, message, where, hint, candidates } = error;
  // That is for the operator.
  if (code === "INTERNAL") return new OnefoldError(code, `the server failed at this ${what}`);
  if ([message, where, hint, ...(candidates ?? [])].every((text = "") => text.length <= TEXT_LENGTH_MAX)) return error;
  return new OnefoldError(code, cut(message), {
    ...(where === undefined ? {} : { where: cut(where) }),
    ...(hint === undefined ? {} : { hint: cut(hint) }),
    ...(candidates === undefined ? {} : { candidates: candidates.map(cut) }),
  });
}

function cut(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}...` : text;
}
