/**
 * The sources that are polled, while this process serves the data folder. Who only reads it, a worker and a command
 * that works for a moment ask no API.
 */
import type { Clock } from "../base/clock.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import type { StreamDefinition } from "../define/definition.ts";
import { definitionText } from "../fold/canonical-json.ts";
import { PollLoop } from "../ingest/http-poll/poll-loop.ts";
import type { PushResult } from "../ingest/pipeline.ts";
import type { PollGauges } from "../monitor/metrics/monitored-house.ts";
import { readingGauges } from "./reading-gauges.ts";
import { waitMicros } from "./wait-micros.ts";

export interface SourcePollsOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  /** All streams that are registered now. */
  streams(): readonly StreamDefinition[];
  push(source: string, rows: readonly unknown[]): Promise<PushResult>;
}

export class SourcePolls {
  readonly #options: SourcePollsOptions;
  readonly #loops = new Map<string, { readonly definition: string; readonly loop: PollLoop }>();
  #isStarted = false;
  readonly #turns = new TurnQueue();

  constructor(options: SourcePollsOptions) {
    this.#options = options;
  }

  /** Polls from now on; a second call does nothing. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.refresh();
  }

  /** Takes up what is registered: a poll that is new, changed or gone. The others go on. */
  refresh(): Promise<void> {
    return this.#turns.take(() => this.#refreshNow());
  }

  gauges(source: string): PollGauges | null {
    const running = this.#loops.get(source);
    return running === undefined ? null : readingGauges(running.loop.status, this.#options.clock.now());
  }

  /** Resolves once no poll is under way and none will be. */
  async close(): Promise<void> {
    this.#isStarted = false;
    await this.refresh();
  }

  async #refreshNow(): Promise<void> {
    const { clock, dataDir, push } = this.#options;
    const wanted = this.#isStarted ? this.#options.streams() : [];
    const isSame = (name: string, definition: string): boolean =>
      wanted.some((source) => source.name === name && definitionText(source) === definition);
    const gone = [...this.#loops].filter(([name, { definition }]) => !isSame(name, definition));
    await Promise.all(gone.map(([, { loop }]) => loop.close()));
    for (const [name] of gone) this.#loops.delete(name);
    for (const source of wanted) {
      if (source.poll === undefined || this.#loops.has(source.name)) continue;
      const loop = new PollLoop({
        dataDir,
        source,
        poll: source.poll,
        clock,
        fetch,
        environment: (name) => process.env[name],
        push: (rows) => push(source.name, rows),
        random: Math.random,
        wait: waitMicros,
      });
      this.#loops.set(source.name, { definition: definitionText(source), loop });
    }
  }
}
