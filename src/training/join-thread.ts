/**
 * What a thread of the join runs: one task at a time, as it is told by messages. See `join-threads.ts`.
 */
import { parentPort, workerData } from "node:worker_threads";
import { asOnefoldError, type ErrorCode } from "../base/errors.ts";
import { compileViewFold } from "../fold/compile.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import { buffersOf, JoinTask, type TaskEvents, type TaskLabels, type TaskResult, type TaskView } from "./join-task.ts";

export type ToThread =
  | { readonly kind: "open"; readonly view: number; readonly labels: TaskLabels }
  | { readonly kind: "events"; readonly events: TaskEvents }
  | { readonly kind: "finish" };

export type FromThread =
  /** So many events are done with. */
  | { readonly kind: "taken"; readonly rows: number }
  | { readonly kind: "result"; readonly result: TaskResult }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

const views = workerData as readonly TaskView[];
const folds = new Map<number, ViewFold>();
let task: JoinTask | null = null;

function foldOf(view: number): ViewFold {
  let fold = folds.get(view);
  if (fold === undefined) {
    const { definition, source, entity } = views[view]!;
    folds.set(view, (fold = compileViewFold(definition, source, entity)));
  }
  return fold;
}

function answer(message: ToThread): void {
  switch (message.kind) {
    case "open":
      task = new JoinTask(views[message.view]!, foldOf(message.view), message.labels);
      return;
    case "events":
      task!.push(message.events);
      say({ kind: "taken", rows: message.events.rowCount });
      return;
    case "finish": {
      const result = task!.finish();
      task = null;
      const arrays = result.columns.flatMap((cells) => {
        return [cells.numbers, cells.validity, cells.statuses, cells.laterWindows];
      });
      say({ kind: "result", result }, buffersOf(arrays));
    }
  }
}

function say(message: FromThread, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

parentPort?.on("message", (message: ToThread) => {
  try {
    answer(message);
  } catch (error) {
    const { code, message: text } = asOnefoldError(error);
    say({ kind: "failed", code, message: text });
  }
});
