/**
 * Who does the tasks of a join: this thread, or several of their own beside it.
 *
 * Definitions go to the threads as plain data and are compiled there. A view with functions of its own cannot go:
 * its tasks are done here.
 */
import { Worker } from "node:worker_threads";
import { OnefoldError } from "../base/errors.ts";
import { moduleFile } from "../base/package-files.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import { buffersOf, JoinTask, type TaskEvents, type TaskLabels, type TaskResult, type TaskView } from "./join-task.ts";
import type { FromThread, ToThread } from "./join-thread.ts";

const PROGRAM = moduleFile("training/join-thread");

/** Events that may wait for a thread: so much is in memory beside what it works on. */
const WAITING_EVENTS_MAX = 262_144;

export interface OpenTask {
  /** Resolves once there is room for more; the arrays are the task's from then on. */
  push(events: TaskEvents): Promise<void> | void;
  finish(): Promise<TaskResult>;
}

export interface JoinPool {
  /** Of the views it was made for. */
  open(view: number, labels: TaskLabels): OpenTask;
  close(): Promise<void>;
}

export interface PooledView extends TaskView {
  readonly fold: ViewFold;
}

/** `threads` 1 is this thread alone. */
export function openJoinPool(views: readonly PooledView[], threads: number): JoinPool {
  const here = new PoolHere(views);
  if (threads <= 1) return here;
  const plain = views.map(({ fold: _, ...view }) => view);
  // Bundled into another program, this has no file of its own for threads to run.
  return plain.every(isPlainData) && PROGRAM !== null ? new ThreadPool(plain, threads) : here;
}

export function isPlainData(value: unknown): boolean {
  if (typeof value === "function") return false;
  if (typeof value !== "object" || value === null) return true;
  return Object.values(value).every(isPlainData);
}

class PoolHere implements JoinPool {
  readonly #views: readonly PooledView[];

  constructor(views: readonly PooledView[]) {
    this.#views = views;
  }

  open(view: number, labels: TaskLabels): OpenTask {
    const { fold } = this.#views[view]!;
    const task = new JoinTask(this.#views[view]!, fold, labels);
    return { push: (events) => task.push(events), finish: async () => task.finish() };
  }

  async close(): Promise<void> {}
}

class ThreadPool implements JoinPool {
  readonly #threads: readonly JoinThread[];

  constructor(views: readonly TaskView[], count: number) {
    this.#threads = Array.from({ length: count }, () => new JoinThread(views));
  }

  open(view: number, labels: TaskLabels): OpenTask {
    const idlest = this.#threads.reduce((least, thread) => (thread.load < least.load ? thread : least));
    return idlest.open(view, labels);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class JoinThread {
  readonly #worker: Worker;
  readonly #results: { resolve(result: TaskResult): void; reject(error: unknown): void }[] = [];
  #waitingEvents = 0;
  #labelsOpen = 0;
  #onRoom: (() => void) | null = null;
  #failure: unknown = null;

  constructor(views: readonly TaskView[]) {
    this.#worker = new Worker(PROGRAM!, { workerData: views, name: "onefold-join" });
    this.#worker.on("message", (message: FromThread) => this.#hear(message));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new OnefoldError("INTERNAL", "a thread of the join has ended")));
  }

  /** What it has still to do. */
  get load(): number {
    return this.#waitingEvents + this.#labelsOpen;
  }

  open(view: number, labels: TaskLabels): OpenTask {
    const count = labels.entity.length;
    this.#labelsOpen += count;
    this.#post({ kind: "open", view, labels }, buffersOf([labels.entity, labels.limit, labels.asOf, labels.fallback]));
    return {
      push: (events) => {
        if (this.#failure !== null) throw this.#failure;
        this.#waitingEvents += events.rowCount;
        const { entity, offset, eventTime, knownTime, values, validity } = events;
        const arrays = [entity, offset, eventTime, knownTime, ...values, ...validity];
        this.#post({ kind: "events", events }, buffersOf(arrays));
        return this.#room();
      },
      finish: () => {
        if (this.#failure !== null) return Promise.reject(this.#failure);
        this.#post({ kind: "finish" });
        return new Promise<TaskResult>((resolve, reject) => this.#results.push({ resolve, reject })).finally(() => {
          this.#labelsOpen -= count;
        });
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #room(): Promise<void> | void {
    if (this.#waitingEvents <= WAITING_EVENTS_MAX) return;
    return new Promise<void>((resolve) => (this.#onRoom = resolve));
  }

  #hear(message: FromThread): void {
    switch (message.kind) {
      case "taken":
        this.#waitingEvents -= message.rows;
        if (this.#waitingEvents <= WAITING_EVENTS_MAX / 2) this.#giveRoom();
        return;
      case "result":
        this.#results.shift()?.resolve(message.result);
        return;
      case "failed":
        this.#fail(new OnefoldError(message.code, message.message));
    }
  }

  /** Nothing that was asked of it will be done any more. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#results.splice(0)) reject(this.#failure);
    this.#giveRoom();
  }

  #giveRoom(): void {
    this.#onRoom?.();
    this.#onRoom = null;
  }
}
