/** A time as commands print it; null where there is none. */
import { formatMicros, type Micros } from "../base/micros.ts";

export function timeText(micros: number | null): string | null {
  return micros === null ? null : formatMicros(micros as Micros);
}
