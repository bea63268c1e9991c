/** A time as commands print it; null where there is none. */
import { formatMicros, type Micros } from "../base/micros.ts";

export function timeText(micros: number | null): string | null {
  return micros === null ? null : formatMicros(micros as Micros);
}

/** A span as it is read at a glance: "0s", "1.5s", "3m 20s", "2d 4h". */
export function secondsText(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(seconds < 10 ? 1 : 0))}s`;
  const units: readonly (readonly [seconds: number, unit: string])[] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  const at = units.findIndex(([size]) => seconds >= size);
  const [size, unit] = units[at]!;
  const [nextSize, nextUnit] = units[at + 1]!;
  const rest = Math.floor((seconds % size) / nextSize);
  return `${Math.floor(seconds / size)}${unit}${rest === 0 ? "" : ` ${rest}${nextUnit}`}`;
}
