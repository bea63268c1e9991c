/** A process that makes way for those that it works for, on the same core too. */
import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/**
 * Gives every thread of this process a lower priority than it came with; those that they start take it over. Not the
 * lowest: that waits no less for a server that wakes, and would have nothing of a core that is never idle, where this has a
 * tenth.
 */
export function yieldPriority(): void {
  const threads = process.platform === "linux" ? readdirSync("/proc/self/task").map(Number) : [process.pid];
  const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;
  for (const thread of threads) {
    try {
      setPriority(thread, Math.min(PRIORITY_LOW, getPriority(thread) + PRIORITY_BELOW_NORMAL));
    } catch {
      // It has ended, or the system does not allow it: then the work is done at the priority it came with.
    }
  }
}
