/**
 * Whether an idle process (`yield-priority.ts`) gets anything of a machine whose cores others never leave idle: it would wait
 * as long as they work, and nobody but those who look from outside has the turn to see it.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Between two looks. */
const LOOK_MS = 500;
/** In a row, at each of which it wants a core. */
const LOOKS = 4;
/** Of the time between the first and the last of them: with less it is starved. */
const RAN_SHARE_MIN = 0.02;

interface Look {
  /** Whether a thread of it runs, or waits for a core. */
  readonly wantsCore: boolean;
  /** What its threads have run, nanoseconds. */
  readonly ran: number;
  readonly atMs: number;
}

/** Tells once that the process is starved, and looks no more. Never where the system does not count this. Returns what stops it. */
export function watchStarved(pid: number, onStarved: () => void): () => void {
  let looks: Look[] = [];
  const timer = setInterval(() => {
    const look = lookAt(pid);
    // What a thread has run goes with it: then it counts from here on.
    if (look.ran < (looks.at(-1)?.ran ?? 0)) looks = [];
    looks = look.wantsCore ? [...looks.slice(-LOOKS), look] : [];
    const first = looks.at(-1 - LOOKS);
    // What it waited for is counted when it is given a core, which is too late; what it ran, at once.
    if (first === undefined || look.ran - first.ran > RAN_SHARE_MIN * 1e6 * (look.atMs - first.atMs)) return;
    clearInterval(timer);
    onStarved();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function lookAt(pid: number): Look {
  let wantsCore = false;
  let ran = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      wantsCore ||= stat.slice(stat.lastIndexOf(")") + 2).startsWith("R");
      ran += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    }
  } catch {
    // A thread that ended meanwhile, or another system: nothing is known of this look.
    return { wantsCore: false, ran, atMs: performance.now() };
  }
  return { wantsCore, ran, atMs: performance.now() };
}
