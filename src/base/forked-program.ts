/**
 * The program of a process that was started to do a part of another's work, of a lower priority (`yield-priority.ts`): it
 * does what it is told, and ends at once when whoever started it is gone.
 */
import { rmSync } from "node:fs";
import { yieldAsForked } from "./yield-priority.ts";

/** Hands over what is said to this process; nothing where it was not started to be spoken to. */
export function hearStarter<M>(
  hear: (message: M) => void,
  options: {
    /** Of data that is this process's alone: removed at its end. Null where there is none yet. */
    readonly spillFolder: () => string | null;
  },
): boolean {
  if (process.send === undefined) return false;
  yieldAsForked();
  process.once("disconnect", () => {
    // In the middle of a sort an exit in good order would wait for that, and nobody will take what comes of it.
    const folder = options.spillFolder();
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
    process.kill(process.pid, "SIGKILL");
  });
  process.on("message", hear as (message: unknown) => void);
  return true;
}

export function sayToStarter(message: object): void {
  // Where it cannot be heard any more, "disconnect" ends the process.
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
}
