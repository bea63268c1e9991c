/**
 * All that was seen of shadows, by experiment and by the version that was served. What this process sees is added to the
 * files in the data folder twice a minute, and when it is asked for; so it outlives the process.
 */
import type { Clock } from "../../base/clock.ts";
import { type DurationMicros, formatMicros, MICROS_PER_DAY } from "../../base/micros.ts";
import { comparisonOf, type ShownComparison } from "../../monitor/shadow/shadow-comparison.ts";
import { ShadowFolder } from "../../monitor/shadow/shadow-folder.ts";
import type { ShadowNews } from "../../monitor/shadow/shadow-news.ts";
import { ShadowTally } from "../../monitor/shadow/shadow-tally.ts";
import type { Registry } from "../../registry/registry.ts";

const EVERY_MILLIS = 30_000;
/** It is looked so often whether others have left files. */
const ADOPT_MICROS: DurationMicros = MICROS_PER_DAY;

export interface ShadowCountsOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  /** Names of experiments are not given again: what is kept of those that were retired goes. */
  readonly registry: Pick<Registry, "retired">;
  /** Of letters and digits, where this process does not own the folder. */
  readonly writer?: string;
}

export class ShadowCounts {
  readonly #options: ShadowCountsOptions;
  readonly #folder: ShadowFolder;
  /** What is not in the folder yet, by experiment and the two versions. */
  #fresh = new Map<string, Map<string, ShadowTally>>();
  #timer: NodeJS.Timeout | null = null;
  #adoptedMicros = Number.NEGATIVE_INFINITY;
  /** Writes follow each other; it never rejects. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ShadowCountsOptions) {
    this.#options = options;
    this.#folder = new ShadowFolder(options.dataDir, options.writer);
  }

  took(news: ShadowNews): void {
    // Who only reads never writes.
    this.#timer ??= setInterval(() => void this.flush(), EVERY_MILLIS).unref();
    const tally = this.#of(news);
    if ("pair" in news) tally.add(news.pair);
    else if ("dropped" in news) tally.dropped(news.dropped);
    else tally.failed(news.failed);
  }

  /** Of all processes that have told so far. */
  async of(experiment: string): Promise<ShownComparison[]> {
    await this.flush();
    return (await this.#folder.read(experiment)).map(comparisonOf);
  }

  /** Resolves once what was seen so far is in the folder, or could not be written. Never rejects. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const fresh = this.#fresh;
      if (fresh.size === 0) return;
      this.#fresh = new Map();
      for (const [experiment, pairs] of fresh) {
        const records = Array.from(pairs.values(), (tally) => tally.record());
        // What could not be written is dropped: it is a sample, and the next one will do.
        await this.#folder.add(experiment, records).catch(() => undefined);
      }
      const now = this.#options.clock.now();
      if (now - this.#adoptedMicros < ADOPT_MICROS) return;
      this.#adoptedMicros = now;
      await this.#folder.adopt(now / 1000).catch(() => undefined);
    });
    return this.#writing;
  }

  /** Forgets all of it: it holds values as they were, though not whose. */
  forget(): Promise<void> {
    const forgotten = this.#writing.then(async () => {
      this.#fresh = new Map();
      await this.#folder.remove(() => true);
    });
    this.#writing = forgotten.catch(() => undefined);
    return forgotten;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.flush();
    const retired = this.#options.registry.retired().map(({ definition }) => definition);
    const gone = new Set(retired.filter(({ kind }) => kind === "experiment").map(({ name }) => name));
    await this.#folder.remove((experiment) => gone.has(experiment)).catch(() => undefined);
  }

  #of({ experiment, served, shadow }: ShadowNews): ShadowTally {
    let pairs = this.#fresh.get(experiment);
    if (pairs === undefined) this.#fresh.set(experiment, (pairs = new Map()));
    const key = `${served} ${shadow}`;
    let tally = pairs.get(key);
    if (tally === undefined) {
      tally = new ShadowTally({ served, shadow, since: formatMicros(this.#options.clock.now()) });
      pairs.set(key, tally);
    }
    return tally;
  }
}
