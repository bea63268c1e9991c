/** Which processes there are, by what Linux says of them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

export function isAlive(pid: number): boolean {
  // One that has ended, and whose parent has not heard of it yet, is dead.
  return existsSync(`/proc/${pid}/stat`) && statOf(pid)[0] !== "Z";
}

export function childrenOf(pid: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((each) => {
    const [state, parent] = statOf(each);
    return Number(parent) === pid && state !== "Z";
  });
}

/** The command line; empty of one that has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** The number of the class that a process, or a thread, is scheduled in; NaN of one that has ended. */
export function schedulingClassOf(pid: number): number {
  return Number(statOf(pid)[SCHEDULING_CLASS] ?? Number.NaN);
}

/** Of what follows a process's name in `/proc`. */
const SCHEDULING_CLASS = 38;
/** What is taken off a core the moment that anybody else wakes. */
export const IDLE_CLASS = 5;
export const ORDINARY_CLASS = 0;

/** State and parent of a process, and what else follows its name in `/proc`. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
