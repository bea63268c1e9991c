/** Metrics of alerts, from what the owner of a data folder tells at each scrape. */
import type { Instruments } from "../remote-store-metrics.ts";

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

export function addAlertMetrics({ gauge }: Pick<Instruments, "gauge">, house: AlertHouse): void {
  const ask = (
    name: string,
    help: string,
    labels: string[],
    add: (gauges: AlertGauges, set: (labels: Record<string, string>, value: number) => void) => void,
  ): void => {
    const metric = gauge(name, help, labels, () => {
      metric.reset();
      const gauges = house.alerts?.() ?? null;
      if (gauges !== null) add(gauges, (values, value) => metric.set(values, value));
    });
  };
  ask("onefold_alerts_firing", "Subjects that a rule fires for", ["rule", "severity"], ({ firing }, set) => {
    for (const { rule, severity, count } of firing) set({ rule, severity }, count);
  });
  const waiting = "Notices that wait to be delivered";
  ask("onefold_alert_notices_waiting", waiting, ["destination"], ({ undelivered }, set) => {
    for (const { destination, count } of undelivered) set({ destination }, count);
  });
  const failing = "Times in a row that a part of monitoring failed or did not answer";
  ask("onefold_signal_source_failing", failing, ["source"], ({ failingSources }, set) => {
    for (const { source, failures } of failingSources) set({ source }, failures);
  });
}
