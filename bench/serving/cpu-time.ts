/**
 * The processor time a process has taken, all threads of it: beside wall time it says what a request costs where
 * other work on the machine slows everything down. Linux alone tells.
 */
import { readFileSync } from "node:fs";

/** The kernel's unit of `/proc/PID/stat`: 100 a second wherever Linux runs on what we measure on. */
const MICROS_PER_TICK = 10_000;
const UTIME = 11;
const STIME = 12;

/** Null where the system does not say. */
export function cpuMicros(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The program's name, in parentheses, may have blanks.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[UTIME]) + Number(fields[STIME])) * MICROS_PER_TICK;
}
