/**
 * What was asked, as an answer repeats it in front of the features: the JSON text of an object that more members follow.
 */
import { OnefoldError } from "../base/errors.ts";

/** Throws `REQUEST_INVALID` for what is nested so deep that it can be read but not written. */
export function labelText(label: Readonly<Record<string, unknown>>, where: string): string {
  try {
    return JSON.stringify(label).slice(0, -1);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new OnefoldError("REQUEST_INVALID", `${where} is nested too deep`, {
      where,
      hint: "leave out what is no key: answers repeat what they were asked for",
      cause,
    });
  }
}
