/**
 * How far a source with a watermark has been read, as the text that its state has of it. An infinite time, which a version of
 * before took for a mark as any other, is none: no row would be new any more.
 */
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros, type Micros, parseMicros } from "../../base/micros.ts";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import type { BatchState } from "./batch-state.ts";

/** Null where all rows are new. Throws `BATCH_SOURCE_FAILED` where it is infinite. */
export function reachedMark(
  source: BatchSourceDefinition,
  { watermark, newestEventTime }: Pick<BatchState, "watermark" | "newestEventTime">,
): string | null {
  if (watermark === null || typeOfMark(source) !== "timestamp") return watermark;
  if (/^-infinity$/i.test(watermark)) return null;
  if (!/^\+?infinity$/i.test(watermark)) return watermark;
  const { name } = source;
  const isEventTime = source.watermark!.column === source.eventTime && newestEventTime !== null;
  const newest = isEventTime ? `, which is ${formatMicros(newestEventTime as Micros)}` : "";
  throw new OnefoldError(
    "BATCH_SOURCE_FAILED",
    `source ${name} was read up to an infinite time: no row is new any more`,
    {
      where: `its watermark ${source.watermark!.column}`,
      hint: `onefold run ${name} --from TIME goes on behind the newest finite time that was read${newest}`,
    },
  );
}

/** What a run that is to go on behind `text` takes to have been reached. Throws `REQUEST_INVALID`. */
export function markFrom(source: BatchSourceDefinition, text: string): string {
  const type = typeOfMark(source);
  const refuse = (why: string): OnefoldError =>
    new OnefoldError("REQUEST_INVALID", `source ${source.name} cannot be read from ${text}: ${why}`, {
      where: source.name,
      hint: "give a value of its watermark: rows beyond it are read",
    });
  if (type === null) throw refuse("it has no watermark");
  if (type === "int64" && !isInt64(text)) throw refuse("its watermark is a whole number");
  if (type !== "timestamp") return text;
  let time: Micros;
  try {
    time = parseMicros(text);
  } catch {
    throw refuse("its watermark is a time, as 2026-02-01T00:00:00Z");
  }
  return formatMicros(time);
}

function typeOfMark({ watermark, columns }: BatchSourceDefinition): string | null {
  if (watermark === undefined) return null;
  return columns.find(({ name }) => name === watermark.column)!.type.name;
}

function isInt64(text: string): boolean {
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}
