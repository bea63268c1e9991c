/**
 * What is checked again and again while a process serves: expectations and profiles. Never two rounds at a time, and never
 * in the way of requests: the engine counts on a thread of its own, and the work rests in proportion.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SignalSource } from "../../monitor/signal.ts";
import type { QualityPort } from "../../serve/quality-port.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { SourceRuntimes } from "../source-runtimes.ts";
import { QualityDesk } from "./quality-desk.ts";

/** The part of the time in which profiles may be brought up to date while something is served. */
const PROFILE_SHARE = 0.05;
const INTERVAL_MS = 60_000;

export interface StandingChecksOptions {
  /** From the end of a round to the next. Default a minute; 0 checks nothing by itself. */
  readonly checkMillis?: number;
  /** Told of what a round fails with; the next one tries again. */
  readonly onCheckError?: (error: unknown) => void;
}

export class StandingChecks {
  readonly quality: QualityDesk;
  readonly #options: StandingChecksOptions;
  readonly #stop = new AbortController();
  readonly #clock: RuntimeContext["clock"];
  #running: Promise<void> | null = null;

  constructor(
    context: RuntimeContext,
    ports: TrainingPorts,
    sources: SourceRuntimes | null,
    options: StandingChecksOptions,
  ) {
    this.#options = options;
    this.#clock = context.clock;
    this.quality = new QualityDesk(context, ports, sources);
  }

  /** What is asked over HTTP. */
  get port(): QualityPort {
    return { quality: (asked) => this.quality.report(asked, true) };
  }

  /** What alerts ask. */
  get signalSources(): readonly SignalSource[] {
    return [this.quality];
  }

  /** Only for the owner of a data folder; a second call does nothing. */
  start(): void {
    const { checkMillis = INTERVAL_MS } = this.#options;
    if (checkMillis > 0) this.#running ??= this.#run(checkMillis);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.quality.close();
  }

  async #run(millis: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(millis, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#attempt(() => this.quality.signals(this.#clock.now()));
      await this.#attempt(() => this.quality.updateProfiles(PROFILE_SHARE, signal));
    }
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.onCheckError?.(error);
    }
  }
}
