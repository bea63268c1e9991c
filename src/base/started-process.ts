/** A program of this package that runs as a process of a lower priority, as whoever started it has it. */
import type { ChildProcess } from "node:child_process";
import { watchStarved } from "./starved-process.ts";
import { forkYielding, type Yielding } from "./yield-priority.ts";

/** So long may a program take to end once it is let go of. */
const LET_GO_MS = 5000;

export interface StartedProcess {
  /** To be called once, in the turn that it was started in. */
  onMessage(hear: (message: unknown) => void): void;
  /** The same; told once, when it has ended or could not be started, of how. */
  onEnd(hear: (how: string) => void): void;
  /** The same; told once, of an idle one, when others leave it no core (`starved-process.ts`). */
  onStarved(hear: () => void): void;
  /** What is said to one that has gone is lost: its end says so. */
  send(message: unknown): void;
  /** Nothing more is said to it: its program ends then. */
  letGo(): void;
}

export type StartProcess = (program: string, yielding?: Pick<Yielding, "isIdle">) => StartedProcess;

/** By this process itself. */
export function startHere(program: string, yielding?: Yielding): StartedProcess {
  return started(forkYielding(program, yielding), yielding?.isIdle === true);
}

function started(child: ChildProcess, isIdle: boolean): StartedProcess {
  return {
    onMessage: (hear) => void child.on("message", hear),
    onEnd: (hear) => {
      child.once("error", (cause) => {
        if (child.pid === undefined) hear(`it was not started: ${cause.message}`);
      });
      child.once("exit", (code, by) => hear(by === null ? `exit code ${code}` : `signal ${by}`));
    },
    onStarved: (hear) => {
      if (!isIdle || child.pid === undefined) return;
      child.once("exit", watchStarved(child.pid, hear));
    },
    send: (message) => {
      if (child.connected) child.send(message as object, () => undefined);
    },
    letGo: () => {
      if (child.connected) child.disconnect();
      // Node never closes a channel that is let go of in the middle of a message, and the program waits for that.
      const timer = setTimeout(() => child.kill("SIGKILL"), LET_GO_MS).unref();
      child.once("exit", () => clearTimeout(timer));
    },
  };
}
