/**
 * Expectations and what they refused, for a scraper.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import type { Instruments } from "../metrics/prometheus.ts";
import type { Judgement } from "./judge.ts";

export interface QualityHouse {
  /** Expectations as they were last judged; none where nothing judges them. */
  expectations(): readonly {
    /** The source, or `view@version`. */
    readonly subject: string;
    readonly expectation: string;
    readonly judged: Judgement;
  }[];
}

interface Refused {
  readonly source: string;
  readonly expectation?: string;
}

export function addQualityMetrics(make: Instruments, house: QualityHouse): void {
  const labels = ["subject", "expectation"];
  make.askedGauge("onefold_expectation_met", "1 while an expectation is met, as it was last judged", labels, () =>
    house.expectations().map((one) => [labelsOf(one), Number(one.judged.isMet)] as const),
  );
  make.askedGauge(
    "onefold_expectation_value",
    "What was measured: a share of values, or of an arrival rate events; without anything to measure there is none",
    labels,
    () =>
      house
        .expectations()
        .flatMap((one) => (one.judged.value === null ? [] : [[labelsOf(one), one.judged.value] as const])),
  );
  const refused = make.counter("onefold_expectation_refused_total", "Events that an expectation refused", [
    "source",
    "expectation",
  ]);
  make.on<Refused>(diagnostics.deadLetter, ({ source, expectation }) => {
    if (expectation !== undefined) refused.inc({ source, expectation });
  });
  const blocked = make.counter("onefold_pushes_blocked_total", "Pushes that an expectation refused whole", [
    "source",
    "expectation",
  ]);
  make.on<Required<Refused>>(diagnostics.blocked, ({ source, expectation }) => blocked.inc({ source, expectation }));
}

function labelsOf({ subject, expectation }: { readonly subject: string; readonly expectation: string }) {
  return { subject, expectation };
}
