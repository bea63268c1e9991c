/** Processes that make way for those that they work for, on the same core too. */
import { type ChildProcess, fork } from "node:child_process";
import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/**
 * Gives every thread of this process a lower priority than it came with, or `priority`; those that they start take it over.
 * Not the lowest: that waits no less for a server that wakes, and would have nothing of a core that is never idle, where this
 * has a tenth.
 */
export function yieldPriority(priority: number = lowered()): void {
  const threads = process.platform === "linux" ? ownThreads() : [process.pid];
  for (const thread of threads) lower(thread, priority);
}

/**
 * A program as a process of a lower priority from its first instruction on: what it loads before it could lower its own
 * takes half a second of a core, by several threads. It calls `yieldAsForked` first, and is spoken to by messages.
 */
export function forkYielding(program: string, priority: number = lowered()): ChildProcess {
  const child = fork(program, [String(priority)], {
    // Not this process's own: an inspector's port can be had once.
    execArgv: [],
    serialization: "advanced",
    // What it says at a violent end is for whoever reads this process's log.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  // It has its first thread alone by now, whose priority the others take over.
  if (child.pid !== undefined) lower(child.pid, priority);
  return child;
}

/** Of a program that was started by `forkYielding`: threads that it had before it was given its priority have it, too. */
export function yieldAsForked(): void {
  yieldPriority(Number(process.argv[2]));
}

/** Numbers of this process's threads, the first one's among them. Throws where the system cannot say. */
export function ownThreads(): number[] {
  return readdirSync("/proc/self/task").map(Number);
}

/** The priority that makes way for this process. */
export function lowered(): number {
  const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;
  return Math.min(PRIORITY_LOW, getPriority() + PRIORITY_BELOW_NORMAL);
}

/** Of a process, or a thread. Does nothing where it has that priority or a lower one. */
export function lower(pid: number, priority: number): void {
  try {
    if (getPriority(pid) < priority) setPriority(pid, priority);
  } catch {
    // It has ended, or the system does not allow it: then it goes on at the priority it came with.
  }
}
