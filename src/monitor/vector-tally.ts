/**
 * What is counted at every vector, in plain arrays, and given to the metrics library when someone scrapes: its
 * own counters look their labels up at each call, which would cost as much as reading a vector.
 */

export interface TalliedVectors {
  readonly service: string;
  count: number;
  /** How many of them were answered as they had been read before. */
  kept: number;
  seconds: number;
  /** Vectors within each of the tally's bounds, the last for those beyond them all. */
  readonly withinBounds: Float64Array;
}

export class VectorTally {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  /** Values by status code. */
  readonly statuses: Float64Array;
  readonly #services = new Map<string, TalliedVectors>();

  constructor(bounds: readonly number[], statusCount: number) {
    this.bounds = bounds;
    this.statuses = new Float64Array(statusCount);
  }

  add(service: string, seconds: number, statuses: readonly number[], isKept: boolean): void {
    let tallied = this.#services.get(service);
    if (tallied === undefined) {
      tallied = { service, count: 0, kept: 0, seconds: 0, withinBounds: new Float64Array(this.bounds.length + 1) };
      this.#services.set(service, tallied);
    }
    tallied.count++;
    if (isKept) tallied.kept++;
    tallied.seconds += seconds;
    let bound = 0;
    while (bound < this.bounds.length && seconds > this.bounds[bound]!) bound++;
    tallied.withinBounds[bound]!++;
    for (let i = 0; i < statuses.length; i++) this.statuses[statuses[i]!]!++;
  }

  services(): IterableIterator<TalliedVectors> {
    return this.#services.values();
  }
}

/** One line of a metric, as the library formats it. */
export interface MetricLine {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The tally as a histogram of the Prometheus format: cumulative buckets, sum and count by service. */
export function histogramLines(name: string, tally: VectorTally): MetricLine[] {
  return [...tally.services()].flatMap(({ service, count, seconds, withinBounds }) => {
    let total = 0;
    const buckets = [...tally.bounds, Number.POSITIVE_INFINITY].map((bound, i): MetricLine => {
      total += withinBounds[i]!;
      const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : bound;
      return { metricName: `${name}_bucket`, labels: { le, service }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { service }, value: seconds },
      { metricName: `${name}_count`, labels: { service }, value: count },
    ];
  });
}
