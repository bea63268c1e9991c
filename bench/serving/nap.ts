/**
 * Sleep for a fraction of a millisecond, in which the event loop does nothing.
 */
import { writeFileSync } from "node:fs";

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));
/** What the system takes to wake this thread. */
const WAKING_MS = 0.04;
const SLACK_NANOS = 1000;

/** Up to some hundredths of a millisecond more than `milliseconds`. Nothing where it would take longer to wake. */
export function nap(milliseconds: number): void {
  if (milliseconds > WAKING_MS) Atomics.wait(NEVER_WOKEN, 0, 0, milliseconds - WAKING_MS);
}

/** Linux wakes a thread up to 50 us late, to wake others along with it; this one no more than one, from now on. */
export function napsExactly(): void {
  try {
    writeFileSync("/proc/self/timerslack_ns", String(SLACK_NANOS));
  } catch {
    // Other systems do without.
  }
}
