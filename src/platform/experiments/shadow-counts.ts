/** All that was seen of shadows since this process began, by experiment and by the version that was served. */
import type { Clock } from "../../base/clock.ts";
import { formatMicros } from "../../base/micros.ts";
import type { ShadowNews } from "../../monitor/shadow/shadow-news.ts";
import { type ShadowComparison, ShadowTally } from "../../monitor/shadow/shadow-tally.ts";

export interface ShownComparison extends ShadowComparison {
  /** `service@version`. */
  readonly served: string;
  readonly shadow: string;
  /** RFC 3339: when the first was seen. */
  readonly since: string;
  /** Not computed, as too many waited. */
  readonly dropped: number;
  /** Could not be computed, by error code. */
  readonly failed: Readonly<Record<string, number>>;
}

interface Counted {
  readonly served: string;
  readonly shadow: string;
  readonly since: string;
  readonly tally: ShadowTally;
  dropped: number;
  readonly failed: Map<string, number>;
}

export class ShadowCounts {
  readonly #clock: Clock;
  readonly #byExperiment = new Map<string, Map<string, Counted>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  took(news: ShadowNews): void {
    const counted = this.#of(news);
    if ("pair" in news) counted.tally.add(news.pair);
    else if ("dropped" in news) counted.dropped += news.dropped;
    else counted.failed.set(news.failed, (counted.failed.get(news.failed) ?? 0) + 1);
  }

  of(experiment: string): ShownComparison[] {
    return Array.from(this.#byExperiment.get(experiment)?.values() ?? [], ({ tally, failed, ...counted }) => ({
      ...counted,
      failed: Object.fromEntries(failed),
      ...tally.comparison(),
    }));
  }

  #of({ experiment, served, shadow }: ShadowNews): Counted {
    let pairs = this.#byExperiment.get(experiment);
    if (pairs === undefined) this.#byExperiment.set(experiment, (pairs = new Map()));
    const key = `${served} ${shadow}`;
    let counted = pairs.get(key);
    if (counted === undefined) {
      const since = formatMicros(this.#clock.now());
      counted = { served, shadow, since, tally: new ShadowTally(), dropped: 0, failed: new Map() };
      pairs.set(key, counted);
    }
    return counted;
  }
}
