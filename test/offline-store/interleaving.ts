/**
 * Several tasks taken through their operations on a table's storage one at a time, in an order that a seed says. Some are left
 * standing for long, as a process is that gets no turn.
 *
 * A task is asked for its next operation before any other goes on: what happens follows from the seed alone.
 */
import type { SeededRandom } from "../../src/testing/random.ts";
import type { TableStorage } from "../../src/offline-store/table-storage.ts";

export class Interleaving {
  readonly #random: SeededRandom;
  readonly #waiting = new Map<string, () => void>();
  /** Operations of others that pass before a task goes on. */
  readonly #asleep = new Map<string, number>();
  #running = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The storage as `task` uses it; it may use it one operation at a time only. */
  storage(task: string, storage: TableStorage): TableStorage {
    const inTurn =
      <A extends unknown[], R>(operation: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        await this.#turn(task);
        return operation(...args);
      };
    return {
      list: inTurn(storage.list),
      files: inTurn(storage.files),
      read: inTurn(storage.read),
      putIfAbsent: inTurn(storage.putIfAbsent),
      replace: inTurn(storage.replace),
      publish: inTurn(storage.publish),
      remove: inTurn(storage.remove),
      makeFolder: inTurn(storage.makeFolder),
      writtenMillis: inTurn(storage.writtenMillis),
      clockMillis: inTurn(storage.clockMillis),
    };
  }

  /** Resolves once all have ended. */
  async run(tasks: readonly (() => Promise<void>)[]): Promise<void> {
    this.#running = tasks.length;
    const ended = tasks.map((task) =>
      task().finally(() => {
        this.#running--;
        this.#goOn();
      }),
    );
    await Promise.all(ended);
  }

  #turn(task: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(task, resolve);
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#waiting.size === 0 || this.#waiting.size < this.#running) return;
    const tasks = [...this.#waiting.keys()];
    const awake = tasks.filter((task) => (this.#asleep.get(task) ?? 0) === 0);
    const task = this.#random.pick(awake.length > 0 ? awake : tasks);
    for (const other of tasks) this.#asleep.set(other, Math.max(0, (this.#asleep.get(other) ?? 0) - 1));
    if (this.#random.oneIn(25)) this.#asleep.set(task, this.#random.integer(20, 200));
    const resolve = this.#waiting.get(task)!;
    this.#waiting.delete(task);
    resolve();
  }
}
