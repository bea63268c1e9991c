/**
 * Keeps so many workers running: one that ends is started again, after a while that doubles with each time it ends
 * in a row. One that has served for some time has ended for the first time again. When a worker ends too often in
 * a row the supervisor gives up, for what is wrong will not go away by itself.
 */
import { setTimeout as delay } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { WorkerProcess } from "./worker-process.ts";

export interface SupervisorOptions {
  readonly count: number;
  start(): WorkerProcess;
  /** A worker that served has ended, and is started again after so long. */
  onRestart(error: OnefoldError, delayMs: number): void;
  /** One that was started again serves. Workers count from 1. */
  onBack(worker: number): void;
  /** Of every process that ends. */
  onEnd(ended: WorkerProcess): void;
}

/** So often in a row a worker may end. */
const DEATHS_MAX = 5;
const DELAY_MS_MIN = 100;
const DELAY_MS_MAX = 5000;
/** Having served for so long, a worker begins anew. */
const STEADY_MS = 10_000;
/** What requests under way may take once the workers are told to stop. */
const STOP_MILLIS_MAX = 15_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  /** By place; null while one is waited for. */
  readonly #processes: (WorkerProcess | null)[];
  readonly #stopping = new AbortController();
  readonly #places: Promise<void>[];
  #giveUp!: (error: OnefoldError) => void;
  #restarts = 0;
  /** Whether all have been warm: until then one that ends is not started again. */
  #hasBegun = false;
  /** Resolves once the supervisor has given up, with the reason. The workers that are left go on. */
  readonly failed: Promise<OnefoldError> = new Promise((resolve) => (this.#giveUp = resolve));

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#processes = Array.from({ length: options.count }, () => options.start());
    this.#places = this.#processes.map((first, place) => this.#keep(place, first!));
  }

  /** Resolves once all are warm. Rejects with the error of one that cannot be: then all are stopped. */
  async begin(): Promise<void> {
    try {
      await Promise.all(this.processes.map(({ warm }) => warm));
      this.#hasBegun = true;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get processes(): readonly WorkerProcess[] {
    return this.#processes.filter((one) => one !== null);
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** The places whose worker does not serve at the moment. */
  get waitingFor(): readonly string[] {
    const { count } = this.#options;
    return this.#processes.flatMap((one, i) => (one?.isWarm === true ? [] : [`worker ${i + 1} of ${count}`]));
  }

  /** Lets all finish what they are at, and resolves once they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const { processes } = this;
    for (const one of processes) one.stop();
    const timer = setTimeout(() => processes.forEach((one) => one.kill()), STOP_MILLIS_MAX);
    await Promise.all(this.#places);
    clearTimeout(timer);
  }

  /** A place, until the supervisor stops or gives up. */
  async #keep(place: number, first: WorkerProcess): Promise<void> {
    const { signal } = this.#stopping;
    let running = first;
    for (let deaths = 1; ; deaths++) {
      // One that never serves is not steady, however long it takes to end.
      let warmMs = Number.POSITIVE_INFINITY;
      running.warm.then(
        () => (warmMs = performance.now()),
        () => undefined,
      );
      const error = await running.ended;
      this.#processes[place] = null;
      this.#options.onEnd(running);
      if (signal.aborted || !this.#hasBegun) return;
      if (performance.now() - warmMs > STEADY_MS) deaths = 1;
      if (deaths > DEATHS_MAX) return this.#giveUp(givenUp(place, deaths, error));
      const delayMs = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** (deaths - 1));
      this.#options.onRestart(error, delayMs);
      await delay(delayMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      this.#restarts += 1;
      running = this.#options.start();
      this.#processes[place] = running;
      running.warm.then(
        () => this.#options.onBack(place + 1),
        // Told by its end.
        () => undefined,
      );
    }
  }
}

function givenUp(place: number, deaths: number, error: OnefoldError): OnefoldError {
  const { where, hint } = error;
  return new OnefoldError(
    "WORKERS_FAILED",
    `worker ${place + 1} ended ${deaths} times in a row, the last time with ${error.code}: ${error.message}`,
    {
      hint: hint ?? "see its errors above; if the system ended it, look at the memory it may use",
      ...(where === undefined ? {} : { where }),
      cause: error,
    },
  );
}
