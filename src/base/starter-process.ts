/**
 * The program of a process that starts others for whoever asks, and passes on what they and the asker say to each other. It
 * ends when the asker has gone, and what it has started with it. See `process-starter.ts`.
 */
import { getPriority } from "node:os";
import { type StartedProcess, startHere } from "./started-process.ts";
import { yieldAsForked } from "./yield-priority.ts";

/** `id` is the asker's. */
export type ToStarter =
  | { readonly kind: "start"; readonly id: number; readonly program: string; readonly isIdle: boolean }
  | { readonly kind: "say"; readonly id: number; readonly message: unknown }
  | { readonly kind: "letGo"; readonly id: number };

export type FromStarter =
  | { readonly kind: "said"; readonly id: number; readonly message: unknown }
  | { readonly kind: "starved"; readonly id: number }
  | { readonly kind: "ended"; readonly id: number; readonly how: string };

const processes = new Map<number, StartedProcess>();

function hear(asked: ToStarter): void {
  const { id } = asked;
  if (asked.kind === "say") processes.get(id)?.send(asked.message);
  else if (asked.kind === "letGo") processes.get(id)?.letGo();
  else {
    // This one's own priority is the lower one.
    const one = startHere(asked.program, { priority: getPriority(), isIdle: asked.isIdle });
    processes.set(id, one);
    one.onMessage((message) => say({ kind: "said", id, message }));
    one.onStarved(() => say({ kind: "starved", id }));
    one.onEnd((how) => {
      processes.delete(id);
      say({ kind: "ended", id, how });
    });
  }
}

function say(message: FromStarter): void {
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
}

if (process.send !== undefined) {
  yieldAsForked();
  // Those are said to the asker, too, which still needs what was started while it closes.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
  process.once("disconnect", () => process.exit());
  process.on("message", hear);
}
