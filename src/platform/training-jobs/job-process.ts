/**
 * One piece of training work in a process of its own, so that serving has its processor and its memory to itself: the
 * process has a lower priority, and where the system ends it for want of memory the server goes on.
 */
import { fork } from "node:child_process";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { OnefoldError } from "../../base/errors.ts";
import { errorFromWire } from "../../base/wire-error.ts";
import type { JobMessage, JobProgress, JobResult, JobWork } from "./job-messages.ts";

/** What the process runs: a module that calls `runTrainingJob`. */
export interface JobProgram {
  readonly module: string | URL;
  readonly arguments?: readonly string[];
}

/** What one that was told to stop may take until it is ended. */
const CANCEL_MILLIS_MAX = 10_000;

/**
 * Resolves once the work is done and the process has ended. Rejects with what the work failed with: `CANCELLED` where
 * `signal` was aborted, `TRAINING_INTERRUPTED` where the process ended by itself.
 */
export function runInProcess(
  program: JobProgram,
  work: JobWork,
  options: { readonly onProgress?: (progress: JobProgress) => void; readonly signal: AbortSignal },
): Promise<JobResult> {
  const { signal, onProgress } = options;
  const { module, arguments: args = [] } = program;
  return new Promise((resolve, reject) => {
    const child = fork(module instanceof URL ? fileURLToPath(module) : module, [...args], {
      serialization: "advanced",
      // What it says at a violent end is for whoever reads the server's log.
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    let result: JobResult | null = null;
    let failure: OnefoldError | null = null;
    let killing: NodeJS.Timeout | null = null;
    const tell = (message: JobMessage): void => {
      // What is said to one that has gone is lost: its end says so.
      if (child.connected) child.send(message, () => undefined);
    };
    const cancel = (): void => {
      tell({ kind: "cancel" });
      killing = setTimeout(() => child.kill("SIGKILL"), CANCEL_MILLIS_MAX);
    };
    child.on("message", (message: JobMessage) => {
      if (message.kind === "ready") {
        tell({ kind: "work", work });
        if (signal.aborted) cancel();
      }
      if (message.kind === "progress") onProgress?.(message.progress);
      if (message.kind === "done") result = message.result;
      if (message.kind === "failed") failure = errorFromWire(message.error);
    });
    child.once("spawn", () => yieldPriority(child.pid!));
    child.once("error", (cause) => {
      failure ??= new OnefoldError("TRAINING_INTERRUPTED", `no process can be started: ${cause.message}`, { cause });
      if (child.pid === undefined) end("it was not started");
    });
    // Not before its last words were read.
    child.once("close", (code, by) => end(by === null ? `exit code ${code}` : `signal ${by}`));
    const end = (how: string): void => {
      signal.removeEventListener("abort", cancel);
      if (killing !== null) clearTimeout(killing);
      if (signal.aborted) reject(new OnefoldError("CANCELLED", "the training set was cancelled"));
      else if (result !== null) resolve(result);
      else reject(failure ?? interrupted(how));
    };
    signal.addEventListener("abort", cancel);
  });
}

function yieldPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system does not allow it: then the work is done at the server's own priority.
  }
}

function interrupted(how: string): OnefoldError {
  return new OnefoldError("TRAINING_INTERRUPTED", `the process that built the training set ended: ${how}`, {
    hint: "start it again; if the system ended it, look at the memory that the machine has left, and at the server's log",
  });
}
