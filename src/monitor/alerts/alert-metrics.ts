/** Metrics of alerts, from what the owner of a data folder tells at each scrape. */

export interface AlertGauges {
  readonly firing: readonly { readonly rule: string; readonly severity: string; readonly count: number }[];
  /** Notices that wait, by destination. */
  readonly undelivered: readonly { readonly destination: string; readonly count: number }[];
  /** Parts of monitoring, and how often in a row each failed. */
  readonly failingSources: readonly { readonly source: string; readonly failures: number }[];
}

export interface AlertHouse {
  /** Null, or absent, where no alerts are judged. */
  alerts?(): AlertGauges | null;
}

type Asked = Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>;

/** What makes gauges that are asked at each scrape. */
interface Instruments {
  askedGauge(name: string, help: string, labelNames: string[], ask: () => Asked): void;
}

export function addAlertMetrics(make: Instruments, house: AlertHouse): void {
  const of = (values: (gauges: AlertGauges) => Asked): (() => Asked) => {
    return () => {
      const gauges = house.alerts?.() ?? null;
      return gauges === null ? [] : values(gauges);
    };
  };
  make.askedGauge(
    "onefold_alerts_firing",
    "Subjects that a rule fires for",
    ["rule", "severity"],
    of(({ firing }) => firing.map(({ rule, severity, count }) => [{ rule, severity }, count] as const)),
  );
  make.askedGauge(
    "onefold_alert_notices_waiting",
    "Notices that wait to be delivered",
    ["destination"],
    of(({ undelivered }) => undelivered.map(({ destination, count }) => [{ destination }, count] as const)),
  );
  make.askedGauge(
    "onefold_signal_source_failing",
    "Times in a row that a part of monitoring failed or did not answer",
    ["source"],
    of(({ failingSources }) => failingSources.map(({ source, failures }) => [{ source }, failures] as const)),
  );
}
