/**
 * What rounds of the audit found, for a scraper.
 */
import type { Instruments } from "../metrics/prometheus.ts";
import type { SkewCounts } from "./skew-tally.ts";

export interface SkewHouse {
  /** Since the process began; none where nothing is audited. */
  skew(): readonly SkewCounts[];
}

export function addSkewMetrics(make: Instruments, house: SkewHouse): void {
  const labels = ["of", "feature"];
  make.askedCounter("onefold_skew_compared_total", "Served values computed again and compared", labels, () =>
    house.skew().map(({ of, feature, compared }) => [{ of, feature }, compared] as const),
  );
  make.askedCounter(
    "onefold_skew_values_total",
    "Served values that differ from what is computed again",
    [...labels, "outcome"],
    () =>
      house
        .skew()
        .flatMap(({ of, feature, mismatched, missing, extra }) =>
          Object.entries({ mismatched, missing, extra }).map(
            ([outcome, count]) => [{ of, feature, outcome }, count] as const,
          ),
        ),
  );
}
