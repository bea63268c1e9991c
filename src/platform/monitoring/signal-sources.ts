/**
 * The parts of monitoring that are asked for signals, by name. Each part gives one; alerts know them by this list alone.
 */
import type { WatchedKind } from "../../define/alert-definition.ts";
import type { SourceGauges } from "../../monitor/metrics/monitored-house.ts";
import type { SignalSource } from "../../monitor/signal.ts";

export interface NamedSignalSource {
  readonly name: string;
  readonly source: SignalSource;
  /** Asked only while a rule watches one of them; absent: always. */
  readonly kinds?: readonly WatchedKind[];
}

export interface SignalHouse {
  gauges(): readonly SourceGauges[];
  readonly freshness: SignalSource;
}

/** Of sources and views; what else is watched tells `Monitoring.watch` of itself. */
export function signalSources(house: SignalHouse): NamedSignalSource[] {
  return [
    { name: "readings", source: readingSignals(house) },
    { name: "freshness", source: house.freshness },
  ];
}

/** Reads in a row that must have failed before a source is called silent. */
const FAILURES_MIN = 3;

/** Sources that something reads again and again: how long none of it succeeded. */
function readingSignals({ gauges }: Pick<SignalHouse, "gauges">): SignalSource {
  return {
    signals: async (nowMicros) =>
      gauges().flatMap(({ source, poll, batch }) => {
        const reading = poll ?? batch;
        if (reading === null || reading.sinceSuccessSeconds === null) return [];
        const { sinceSuccessSeconds, failures } = reading;
        return [
          {
            kind: "source-silence",
            subject: { source },
            measure: "since_read_seconds",
            value: sinceSuccessSeconds,
            threshold: null,
            isBeyond: failures >= FAILURES_MIN,
            pValue: null,
            samples: 0,
            windowStartMicros: nowMicros,
            windowEndMicros: nowMicros,
            detail: { failures },
          },
        ];
      }),
  };
}
