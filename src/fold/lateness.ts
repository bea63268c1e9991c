/**
 * How late an event came: a word for people and for monitoring. No value depends on it, for an event counts by its
 * effective time, however late it is.
 */
import type { Micros } from "../base/micros.ts";
import { MICROS_PER_MINUTE } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";

interface Timed {
  readonly eventTime: Micros;
  readonly knownTime: Micros;
}

/** Microseconds from when it happened to when it became known; 0 for one from a clock that runs ahead. */
export function latenessOf({ eventTime, knownTime }: Timed): number {
  return Math.max(0, knownTime - eventTime);
}

/** Beyond so many microseconds an event of the source is late. */
export function lateAfterOf(source: SourceDefinition): number {
  return (source.kind === "stream" ? source.lateAfterMicros : undefined) ?? MICROS_PER_MINUTE;
}
