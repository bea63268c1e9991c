/**
 * How the views of a source come, switch and go while it runs: each is folded by a runner, which joins the others once it
 * stands where they do.
 *
 *     add      log ─▶ new runner, from its place to where the others stand ─▶ one of them
 *     switch   log ─▶ successor, over other states ─▶ the runner goes on from it, between two events
 *     remove   out of the others, and out of memory once no flush may come to it
 */
import { OnefoldError } from "../base/errors.ts";
import type { StateSpace } from "../online-store/online-store.ts";
import type { BackfillPace } from "./backfill-pace.ts";
import { catchUp } from "./catch-up.ts";
import { compileDoor, type Door } from "./door.ts";
import type { EventLog } from "./event-log.ts";
import type { LogEvent } from "./event.ts";
import { STATES_PER_FLUSH } from "./flush-worth.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import type { SourceTails } from "./source-tails.ts";
import { type PipelineView, ViewRunner } from "./view-runner.ts";

export interface SourceViewsParts {
  readonly options: SourcePipelineOptions;
  readonly tails: SourceTails;
  readonly log: Pick<EventLog, "read">;
  /** Where the running views stand. */
  position(): number;
  /** Folds corrections into a runner that catches up. */
  foldRun(run: readonly LogEvent[], runner: ViewRunner): Promise<void>;
  /** Writes the runner's changed states and nothing else. */
  commitStates(runner: ViewRunner): Promise<void>;
  /** Resolves once all that has changed is committed. */
  flush(): Promise<void>;
  /** The error the source stopped at, or null. */
  failure(): OnefoldError | null;
}

export class SourceViews {
  readonly #parts: SourceViewsParts;
  readonly #running = new Map<string, ViewRunner>();
  /** Runners that still catch up with the log: flushed, but not yet fed by pushes. */
  readonly #catchingUp = new Set<ViewRunner>();
  /** Of the source and its views as they are now. */
  door: Door;

  constructor(parts: SourceViewsParts) {
    this.#parts = parts;
    const { options, tails } = parts;
    for (const view of options.views) this.#run(this.#newRunner(view));
    tails.update();
    this.door = compileDoor(options.source, options.views);
  }

  /** By `view@version`; changes as views come and go. */
  get running(): ReadonlyMap<string, ViewRunner> {
    return this.#running;
  }

  /** All that a flush writes. */
  get flushed(): ViewRunner[] {
    return [...this.#running.values(), ...this.#catchingUp];
  }

  /** Resolves once the view has folded all that is in the log, and the store has its place. */
  async add(view: PipelineView, pace?: BackfillPace): Promise<ViewRunner> {
    const { options, tails, flush } = this.#parts;
    const runner = this.#newRunner(view);
    this.#catchingUp.add(runner);
    try {
      await this.#catchUp(runner, pace, () => {
        this.#run(runner);
        tails.update();
      });
      if (options.wholeStates === true) await this.writeOutTails();
      this.#compileDoor();
      // Who reads the store must find it there once it is said to be built.
      await flush();
      return runner;
    } catch (error) {
      if (this.#running.get(runner.name) !== runner) {
        this.#catchingUp.delete(runner);
        // One that is under way may still come to it.
        await flush().catch(() => undefined);
        runner.leaveMemory();
      }
      throw error;
    } finally {
      this.#catchingUp.delete(runner);
    }
  }

  async remove(view: string): Promise<void> {
    const { tails, flush } = this.#parts;
    const runner = this.#running.get(view);
    if (runner !== undefined) tails.leave(runner);
    this.#running.delete(view);
    this.#compileDoor();
    // A flush that is under way may still come to it.
    await flush();
    runner?.leaveMemory();
  }

  /** As `SourcePipeline.switchView`. */
  async switch(view: string, epoch: number, space: StateSpace, position: number, pace?: BackfillPace): Promise<void> {
    const { options, flush } = this.#parts;
    const runner = this.#running.get(view);
    if (runner === undefined)
      throw new OnefoldError("VIEW_UNKNOWN", `view ${view} is not on source ${options.source.name}`);
    const successor = runner.successor(epoch, space, position);
    let isSwitched = false;
    try {
      await this.#catchUp(successor, pace, () => {
        runner.switchTo(successor);
        isSwitched = true;
      });
    } catch (error) {
      if (!isSwitched) successor.leaveMemory();
      throw error;
    }
    await flush();
    const failure = this.#parts.failure();
    if (failure !== null) throw failure;
  }

  /** Leaves every state of the running views whole in the store. */
  writeOutTails(): Promise<void> {
    const { tails, flush } = this.#parts;
    return tails.writeOut([...this.#running.values()], STATES_PER_FLUSH, flush);
  }

  /** Folds the log into a runner until it stands where the running ones do, and calls `then` at that very place. */
  #catchUp(runner: ViewRunner, pace: BackfillPace | undefined, then: () => void): Promise<void> {
    const { log, position, foldRun, commitStates } = this.#parts;
    const parts = {
      log,
      runner,
      end: position,
      foldRun: (run: readonly LogEvent[]) => foldRun(run, runner),
      pace,
      ...(this.#catchingUp.has(runner) ? {} : { writeStates: () => commitStates(runner) }),
    };
    return catchUp(parts, then);
  }

  #compileDoor(): void {
    const views = Array.from(this.#running.values(), ({ view }) => view);
    this.door = compileDoor(this.#parts.options.source, views);
  }

  #newRunner(view: PipelineView): ViewRunner {
    const { options, tails } = this.#parts;
    const { source, store, clock, hotCountMax, hotBytesMax, hotHeapBytesMax } = options;
    return new ViewRunner({
      view,
      store,
      source,
      clock,
      ...tails.sharedBy(view.definition),
      ...(hotCountMax === undefined ? {} : { hotCountMax }),
      ...(hotBytesMax === undefined ? {} : { hotBytesMax }),
      ...(hotHeapBytesMax === undefined ? {} : { hotHeapBytesMax }),
    });
  }

  #run(runner: ViewRunner): void {
    this.#running.set(runner.name, runner);
    this.#parts.tails.join(runner);
  }
}
