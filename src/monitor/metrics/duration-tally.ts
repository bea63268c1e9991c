/**
 * A histogram of durations by one label, counted in plain arrays and given to the metrics library when someone
 * scrapes: its own looks labels up at each call, which would cost as much as the work that is measured.
 */

interface Tallied {
  count: number;
  seconds: number;
  /** Within each of the tally's bounds, the last for those beyond them all. */
  readonly withinBounds: Float64Array;
}

export class DurationTally {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  readonly #byLabel = new Map<string, Tallied>();
  /** The last one that was added to: most of what comes is of the same label again. */
  #label: string | null = null;
  #tallied: Tallied | null = null;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
  }

  add(label: string, seconds: number): void {
    if (label !== this.#label) {
      this.#tallied = this.#of(label);
      this.#label = label;
    }
    const tallied = this.#tallied!;
    tallied.count++;
    tallied.seconds += seconds;
    let bound = 0;
    while (bound < this.bounds.length && seconds > this.bounds[bound]!) bound++;
    tallied.withinBounds[bound]!++;
  }

  #of(label: string): Tallied {
    let tallied = this.#byLabel.get(label);
    if (tallied === undefined) {
      tallied = { count: 0, seconds: 0, withinBounds: new Float64Array(this.bounds.length + 1) };
      this.#byLabel.set(label, tallied);
    }
    return tallied;
  }

  entries(): IterableIterator<[label: string, tallied: Readonly<Tallied>]> {
    return this.#byLabel.entries();
  }
}

/** One line of a metric, as the library formats it. */
export interface MetricLine {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The tally as a histogram of the Prometheus format: cumulative buckets, sum and count by `labelName`. */
export function histogramLines(name: string, labelName: string, tally: DurationTally): MetricLine[] {
  return [...tally.entries()].flatMap(([label, { count, seconds, withinBounds }]) => {
    let total = 0;
    const buckets = [...tally.bounds, Number.POSITIVE_INFINITY].map((bound, i): MetricLine => {
      total += withinBounds[i]!;
      const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : bound;
      return { metricName: `${name}_bucket`, labels: { le, [labelName]: label }, value: total };
    });
    const labels = { [labelName]: label };
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: seconds },
      { metricName: `${name}_count`, labels, value: count },
    ];
  });
}
