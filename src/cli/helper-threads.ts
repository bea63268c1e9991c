/**
 * A server's other threads make way for the one that answers, where they share a core: the garbage collector's and the
 * compiler's helpers, the file system's, the batch engine's. Of equal priority, each that is at work has the core as
 * often as the one that answers, for milliseconds at a time; of a lower one, as long, and seldom.
 */
import { lower, lowered, ownThreads } from "../base/yield-priority.ts";

/** Threads are started whenever there is work for them, at the priority of the one that answers. */
const LOOK_AGAIN_MS = 5000;

/**
 * From now on, until the process ends. Not the lowest priority: while the one that answers is never idle they have a
 * tenth of a core, as what they compile and write is waited for. Does nothing where the system has no priorities of
 * threads.
 */
export function helpersYield(): void {
  if (process.platform !== "linux") return;
  const seen = new Set<number>();
  const lookForNew = (): void => {
    const priority = lowered();
    const present = threads();
    for (const thread of present) {
      if (seen.has(thread) || thread === process.pid) continue;
      seen.add(thread);
      lower(thread, priority);
    }
    // Its number may become another's.
    for (const thread of seen) if (!present.includes(thread)) seen.delete(thread);
  };
  lookForNew();
  setInterval(lookForNew, LOOK_AGAIN_MS).unref();
}

/** None where the system does not say, or has no descriptor left to say it by: then they stay as they are until it does. */
function threads(): number[] {
  try {
    return ownThreads();
  } catch {
    return [];
  }
}
