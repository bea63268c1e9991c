/**
 * A core for the server and another for the load, by `taskset`, so that neither takes the other's time. On a
 * machine with one core or without `taskset` nothing is pinned, and that is said.
 */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

const isPinned = ((): boolean => {
  if (cpus().length < 2) return false;
  try {
    execFileSync("taskset", ["-c", String(LOAD_CORE), "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();
if (!isPinned) console.error("nothing is pinned to a core: one core, or no taskset");

/** The command, run on that core alone. */
export function onCore(core: number, command: readonly string[]): string[] {
  return isPinned ? ["taskset", "-c", String(core), ...command] : [...command];
}

/** Puts this process with all its threads on that core. */
export function moveToCore(core: number): void {
  if (isPinned) execFileSync("taskset", ["-a", "-c", "-p", String(core), String(process.pid)], { stdio: "ignore" });
}

/** Lets this process use all cores again. */
export function moveToAllCores(): void {
  if (!isPinned) return;
  const all = `0-${cpus().length - 1}`;
  execFileSync("taskset", ["-a", "-c", "-p", all, String(process.pid)], { stdio: "ignore" });
}

/**
 * Does the work with this process in the scheduler's idle class, so that another program on its core, which has much less
 * to do than it, does not wait for it. Where that cannot be taken back, as without privileges, it stays there.
 */
export async function yieldingCore<T>(work: () => Promise<T>): Promise<T> {
  if (!isPinned) return work();
  setClass("--idle");
  try {
    return await work();
  } finally {
    setClass("--other");
  }
}

function setClass(scheduling: "--idle" | "--other"): void {
  try {
    execFileSync("chrt", ["--all-tasks", scheduling, "--pid", "0", String(process.pid)], { stdio: "ignore" });
  } catch {
    // Then it is measured as it is.
  }
}
