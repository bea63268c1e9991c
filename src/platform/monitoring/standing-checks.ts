/**
 * What is checked again and again while a process serves: expectations and profiles every minute, and every hour the audit of
 * what was served. Never two at a time, and never in the way of requests: the engine works on a thread of its own, and
 * profiles rest in proportion.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { QualityHouse } from "../../monitor/quality/quality-metrics.ts";
import type { SkewHouse } from "../../monitor/skew/skew-metrics.ts";
import type { QualityPort } from "../../serve/quality-port.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { SourceRuntimes } from "../source-runtimes.ts";
import { QualityDesk } from "./quality-desk.ts";
import type { NamedSignalSource } from "./signal-sources.ts";
import { SkewDesk } from "./skew-desk.ts";

/** The part of the time in which profiles may be brought up to date while something is served. */
const PROFILE_SHARE = 0.05;
const CHECK_MS = 60_000;
const AUDIT_MS = 3_600_000;
const ROUNDS_TOLD = 24;

export interface StandingChecksOptions {
  /** From one judgement of all expectations, and bringing profiles up to date, to the next. Default a minute; 0: never by itself. */
  readonly checkMillis?: number;
  /** From one audit of what was served to the next. Default an hour; 0: never by itself. */
  readonly auditMillis?: number;
  /** Share of the entities in the serving log that are audited, by a hash of their keys. Default 1. */
  readonly auditShare?: number;
  /** Told of what a check fails with; the next one tries again. */
  readonly onCheckError?: (error: unknown) => void;
}

export interface CheckedHouse {
  readonly context: RuntimeContext;
  readonly ports: TrainingPorts;
  /** Null beside the owner of the data folder. */
  readonly sources: SourceRuntimes | null;
  /** Resolves once all that was served is in the serving log. */
  flushServed(): Promise<unknown>;
}

export class StandingChecks {
  readonly quality: QualityDesk;
  readonly skew: SkewDesk;
  readonly #options: StandingChecksOptions;
  readonly #clock: RuntimeContext["clock"];
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor({ context, ports, sources, flushServed }: CheckedHouse, options: StandingChecksOptions) {
    this.#options = options;
    this.#clock = context.clock;
    this.quality = new QualityDesk(context, ports, sources);
    const { auditShare: share } = options;
    const flush = async (): Promise<void> => void (await flushServed());
    this.skew = new SkewDesk({ context, ports, flush, ...(share === undefined ? {} : { share }) });
  }

  /** What a scraper asks. */
  get measured(): QualityHouse & SkewHouse {
    return { expectations: () => this.quality.lastJudged(), skew: () => this.skew.totals() };
  }

  /** What is asked over HTTP. */
  get port(): QualityPort {
    return {
      quality: (asked) => this.quality.report(asked, true),
      skew: async () => ({ rounds: (await this.skew.rounds()).slice(0, ROUNDS_TOLD) }),
    };
  }

  /** What alerts ask. */
  get signalSources(): readonly NamedSignalSource[] {
    return [
      { name: "quality", source: this.quality },
      { name: "skew", source: this.skew },
    ];
  }

  /** Only for the owner of a data folder; a second call does nothing. */
  start(): void {
    if (this.#loops.length > 0) return;
    const { checkMillis = CHECK_MS, auditMillis = AUDIT_MS } = this.#options;
    const { signal } = this.#stop;
    if (checkMillis > 0) {
      const check = async (): Promise<void> => {
        await this.quality.signals(this.#clock.now());
        await this.quality.updateProfiles(PROFILE_SHARE, signal);
      };
      this.#loops.push(this.#repeat(checkMillis, check));
    }
    if (auditMillis > 0) this.#loops.push(this.#repeat(auditMillis, () => this.skew.round(signal)));
  }

  /** Does the work while nothing that is checked is written. */
  undisturbed<T>(work: () => Promise<T>): Promise<T> {
    return this.quality.withoutProfiling(() => this.skew.withoutRounds(work));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
    await this.quality.close();
  }

  async #repeat(millis: number, check: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(millis, undefined, { signal, ref: false }).catch(() => undefined);
      const turn = this.#turn.then(() => this.#attempt(check));
      this.#turn = turn;
      await turn;
    }
  }

  async #attempt(check: () => Promise<unknown>): Promise<void> {
    if (this.#stop.signal.aborted) return;
    try {
      await check();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.onCheckError?.(error);
    }
  }
}
