/**
 * What a side of a drift report is named by:
 *
 *     training:ID      a training set of this data folder's jobs
 *     file:PATH        a training set, or any Parquet or CSV file with columns named like the features
 *     range:A..B       vectors served from A on, before B
 *     last:24h         vectors served that long before now
 *     folded:A..B      what was folded: the feature rows of the minutes from A on, before B
 *     fit:N            what the fit of that version was fitted to, joined again
 *     chosen           the baseline that was chosen for the service
 */
import { OnefoldError } from "../../base/errors.ts";
import { type Micros, parseDuration, parseMicros } from "../../base/micros.ts";
import type { TimeRange } from "../../monitor/drift/window-folder.ts";

export type DriftSource =
  | { readonly kind: "training"; readonly id: string }
  | { readonly kind: "file"; readonly path: string }
  | ({ readonly kind: "served" } & TimeRange)
  | ({ readonly kind: "folded" } & TimeRange)
  | { readonly kind: "fit"; readonly version: number }
  | { readonly kind: "chosen" };

/** Throws `REQUEST_INVALID`, `TIME_INVALID`, `DURATION_INVALID`. */
export function parseDriftSource(text: string, now: Micros): DriftSource {
  const [kind, rest] = text.includes(":")
    ? [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1)]
    : [text, ""];
  switch (kind) {
    case "training":
      if (/^[\w-]+$/.test(rest)) return { kind, id: rest };
      break;
    case "file":
      if (rest !== "") return { kind, path: rest };
      break;
    case "range":
      return { kind: "served", ...rangeOf(text, rest) };
    case "folded":
      return { kind: "folded", ...rangeOf(text, rest) };
    case "last":
      // With what is served at this very moment.
      return { kind: "served", fromMicros: now - parseDuration(rest), untilMicros: now + 1 };
    case "fit":
      if (/^[1-9]\d{0,8}$/.test(rest)) return { kind, version: Number(rest) };
      break;
    case "chosen":
      if (rest === "") return { kind };
      break;
    default:
  }
  throw new OnefoldError("REQUEST_INVALID", `"${text}" names no values to compare`, {
    hint: "training:ID, file:PATH, range:A..B, last:24h, folded:A..B, fit:N or chosen",
  });
}

function rangeOf(text: string, range: string): TimeRange {
  const [from, until, ...more] = range.split("..");
  if (from === undefined || until === undefined || more.length > 0) {
    throw new OnefoldError("REQUEST_INVALID", `"${text}" is no range of time`, {
      hint: "range:2026-11-01T00:00:00Z..2026-11-08T00:00:00Z",
    });
  }
  const [fromMicros, untilMicros] = [parseMicros(from), parseMicros(until)];
  if (fromMicros < untilMicros) return { fromMicros, untilMicros };
  throw new OnefoldError("REQUEST_INVALID", `"${text}" ends before it begins`);
}
