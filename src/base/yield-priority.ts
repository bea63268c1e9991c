/** Processes that make way for those that they work for, on the same core too. */
import { type ChildProcess, fork, type ForkOptions, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { constants, cpus, getPriority, setPriority } from "node:os";

/** What Linux names SCHED_IDLE, by the tool that each of its distributions has; where there is none, or none is allowed, as it is. */
const IDLE_CLASS_SCRIPT = 'if chrt -i 0 true 2>/dev/null; then exec chrt -i 0 "$@"; fi; exec "$@"';
const SHELL = "/bin/sh";

/**
 * From now on this process is idle: each of its threads, and those that they start, have what others leave of a core, and
 * are taken off it the moment that one of those wakes. Of a lower priority alone, whoever has the core keeps it to the end of
 * its slice, some three milliseconds, whoever wakes; but it has a tenth of a core that is never idle, where this has
 * nothing: it is for what may wait as long as it must. Where the system has no such class, or no core is idle just now, the
 * lower priority is all.
 */
export function yieldAll(): void {
  lowerThreads(lowered());
  if (process.platform !== "linux" || !isAnyCoreIdle()) return;
  // It says what it cannot do by its exit code: then this process has a lower priority, and that is all.
  spawnSync("chrt", ["-a", "-i", "-p", "0", String(process.pid)], { stdio: "ignore" });
}

/** The system counts in hundredths of a second. */
const SAMPLE_MS = 100;
/** Of one core's time, in all cores together. */
const IDLE_SHARE_MIN = 0.1;

/** Whether the machine's cores have had nothing to do for some of the last tenth of a second, for which this waits. */
function isAnyCoreIdle(): boolean {
  const before = idleMillis();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SAMPLE_MS);
  return idleMillis() - before >= IDLE_SHARE_MIN * SAMPLE_MS;
}

function idleMillis(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

export interface Yielding {
  /** Instead of the one that makes way for this process. */
  readonly priority?: number;
  /** As `yieldAll` has it. */
  readonly isIdle?: boolean;
}

/**
 * A program as a process of a lower priority, or an idle one, from its first instruction on: what it loads before it could
 * see to that takes half a second of a core, by several threads. It calls `yieldAsForked` first, and is spoken to by messages.
 */
export function forkYielding(program: string, { priority = lowered(), isIdle = false }: Yielding = {}): ChildProcess {
  const child = fork(program, [String(priority)], {
    // Not this process's own flags: an inspector's port can be had once.
    execArgv: [],
    ...(isIdle ? idleClass() : {}),
    serialization: "advanced",
    // What it says at a violent end is for whoever reads this process's log.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  // It has its first thread alone by now, whose priority the others take over.
  if (child.pid !== undefined) lower(child.pid, priority);
  return child;
}

function idleClass(): Pick<ForkOptions, "execPath" | "execArgv"> {
  if (process.platform !== "linux" || !existsSync(SHELL)) return {};
  return { execPath: SHELL, execArgv: ["-c", IDLE_CLASS_SCRIPT, "sh", process.execPath] };
}

/** Of a program that was started by `forkYielding`: threads that it had before it was given its priority have it, too. */
export function yieldAsForked(): void {
  lowerThreads(Number(process.argv[2]));
}

function lowerThreads(priority: number): void {
  const threads = process.platform === "linux" ? ownThreads() : [process.pid];
  for (const thread of threads) lower(thread, priority);
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
