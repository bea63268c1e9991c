/**
 * What a router stamps on every record that it appends: when the platform could first use the event, and where it
 * stands in its source's topic.
 */
import { OnefoldError } from "../../base/errors.ts";
import { type Origin, originText, parseOrigin } from "./origin.ts";

/** Decimal microseconds: when the platform could first use the event. */
export const KNOWN_TIME_HEADER = "onefold-known-time";
/** Where the event stands in its source's topic. */
export const ORIGIN_HEADER = "onefold-origin";
/**
 * On a record that takes back the events of this id: without a value it does no more, else its value is the event that takes
 * their place. A router makes two of the latter, of which only the event has a value.
 */
export const CORRECTS_HEADER = "onefold-corrects";
/** On an event whose id is decided for the whole source: whoever folds it need not ask. */
export const IDS_HEADER = "onefold-ids";

export function stampHeaders(
  knownTime: number,
  topicId: string,
  partition: number,
  offset: number,
): Map<string, string> {
  return new Map([
    [KNOWN_TIME_HEADER, String(knownTime)],
    [ORIGIN_HEADER, originText(topicId, partition, offset)],
  ]);
}

/** Null where it is not that of a router. */
export function readStamp(
  headers: ReadonlyMap<string, Buffer>,
): { readonly origin: Origin; readonly stamp: number } | null {
  const origin = parseOrigin(headers.get(ORIGIN_HEADER)?.toString() ?? "");
  const stamp = Number(headers.get(KNOWN_TIME_HEADER)?.toString());
  return origin === null || !Number.isSafeInteger(stamp) ? null : { origin, stamp };
}

export function foreignRecord(topic: string): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `a record in ${topic} that no worker has written`);
}
