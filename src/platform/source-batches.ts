/**
 * The batch sources: each read when its schedule says, while this process serves the data folder, and whenever it is asked
 * for.
 */
import { OnefoldError } from "../base/errors.ts";
import type { BatchSourceDefinition } from "../define/definition.ts";
import { definitionText } from "../fold/canonical-json.ts";
import { BatchLoop } from "../ingest/batch/batch-loop.ts";
import { BatchReader, type RunOptions } from "../ingest/batch/batch-reader.ts";
import type { BatchRun, LogMark } from "../ingest/batch/batch-state.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import type { PushResult, RowNames } from "../ingest/pipeline.ts";
import type { PollGauges } from "../monitor/metrics/monitored-house.ts";
import { readDeltaFiles } from "../offline-store/delta-files.ts";
import { readingGauges } from "./reading-gauges.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { waitMicros } from "./wait-micros.ts";

interface Running {
  readonly definition: string;
  readonly reader: BatchReader;
  loop: BatchLoop | null;
}

export interface SourceBatchesOptions {
  readonly context: RuntimeContext;
  push(source: string, rows: readonly unknown[], nameOf: RowNames): Promise<PushResult>;
  /** As `BatchReaderOptions.closedLog`. */
  closedLog(source: string): LogMark | null;
}

export class SourceBatches {
  readonly #options: SourceBatchesOptions;
  readonly #running = new Map<string, Running>();
  /** Of each source's state. */
  readonly #turns = new Map<string, TurnQueue>();
  readonly #closing = new AbortController();
  #isStarted = false;
  readonly #refreshes = new TurnQueue();

  constructor(options: SourceBatchesOptions) {
    this.#options = options;
  }

  /** Follows the schedules from now on; a second call does nothing. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.refresh();
  }

  /** Takes up what is registered: a source that is new or changed. The others go on. */
  refresh(): Promise<void> {
    return this.#refreshes.take(() => this.#refreshNow());
  }

  /** Reads what is new now. Throws `SOURCE_UNKNOWN`, `REQUEST_INVALID` for a stream, and as `BatchReader.run`. */
  async run(source: string, options: RunOptions = {}): Promise<BatchRun> {
    await this.refresh();
    const { registry } = this.#options.context;
    if (registry.source(source).definition.kind !== "batch") {
      throw new OnefoldError("REQUEST_INVALID", `source ${source} is a stream, which is not read in runs`, {
        where: source,
        hint: "push its events or ingest files of them",
      });
    }
    return this.#running.get(source)!.reader.run(options);
  }

  /** Null for one that is no batch source, or was not looked at yet. */
  gauges(source: string): PollGauges | null {
    const state = this.#running.get(source)?.reader.lastState ?? null;
    if (state === null) return null;
    const lastSuccessAt = state.runs.findLast(({ status }) => status === "succeeded")?.endedAt ?? null;
    return readingGauges({ ...state, lastSuccessAt }, this.#options.context.clock.now());
  }

  /** Gives up what is read, which goes on the next time; resolves once none is read, and none will be. */
  async close(): Promise<void> {
    this.#isStarted = false;
    this.#closing.abort();
    await this.refresh();
    await Promise.all(Array.from(this.#turns.values(), (turns) => turns.idle()));
  }

  async #refreshNow(): Promise<void> {
    const { context, push, closedLog } = this.#options;
    const { clock, dataDir, registry } = context;
    const wanted = registry.sources().flatMap(({ definition }) => (definition.kind === "batch" ? [definition] : []));
    for (const source of wanted) {
      const definition = definitionText(source);
      const before = this.#running.get(source.name);
      if (before?.definition !== definition) {
        await before?.loop?.close();
        const turns = this.#turns.get(source.name) ?? new TurnQueue();
        this.#turns.set(source.name, turns);
        const reader = new BatchReader({
          dataDir,
          source,
          clock,
          turns,
          closing: this.#closing.signal,
          openEngine: () => context.openEngine(),
          readTable: readDeltaFiles,
          environment: (name) => process.env[name],
          push: (rows, nameOf) => push(source.name, rows, nameOf),
          closedLog: () => closedLog(source.name),
        });
        this.#running.set(source.name, { definition, reader, loop: null });
      }
      await this.#schedule(this.#running.get(source.name)!, source);
    }
  }

  async #schedule(running: Running, { schedule }: BatchSourceDefinition): Promise<void> {
    const isWanted = this.#isStarted && schedule !== undefined;
    if (isWanted === (running.loop !== null)) return;
    if (!isWanted) {
      await running.loop!.close();
      running.loop = null;
      return;
    }
    running.loop = new BatchLoop({
      reader: running.reader,
      schedule,
      clock: this.#options.context.clock,
      wait: waitMicros,
      random: Math.random,
    });
  }
}
