/**
 * Metrics in the Prometheus text format, put together from their parts.
 *
 * The channels that are listened to belong to the process: where it runs several platforms, the counters are those of
 * all.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import { addAlertMetrics } from "../alerts/alert-metrics.ts";
import { addFreshnessMetrics } from "./freshness-metrics.ts";
import { addProcessMetrics, addRespMetrics, addSourceMetrics, addWorkerMetrics } from "./house-metrics.ts";
import { addEventMetrics, addPollMetrics, addStoreMetrics } from "./ingest-metrics.ts";
import { addQualityMetrics } from "../quality/quality-metrics.ts";
import { addSkewMetrics } from "../skew/skew-metrics.ts";
import type { MonitoredHouse } from "./monitored-house.ts";
import { Instruments, type MetricsPage, type MetricValues } from "./prometheus.ts";
import { addRemoteStoreMetrics, type Fetch } from "./remote-store-metrics.ts";
import { addRequestMetrics, addVectorMetrics } from "./request-metrics.ts";

export class Metrics {
  readonly #instruments = new Instruments();

  constructor(house: MonitoredHouse) {
    const make = this.#instruments;
    addRequestMetrics(make);
    addVectorMetrics(make, house);
    addEventMetrics(make);
    addStoreMetrics(make);
    addPollMetrics(make);
    addSourceMetrics(make, house);
    addFreshnessMetrics(make, house);
    addRespMetrics(make, house);
    addWorkerMetrics(make, house);
    addProcessMetrics(make, house);
    addAlertMetrics(make, house);
    addQualityMetrics(make, house);
    addSkewMetrics(make, house);
    make.on<Fetch>(diagnostics.fetched, addRemoteStoreMetrics(make, house));
  }

  /** Listens from now on; a second call does nothing. */
  start(): void {
    this.#instruments.start();
  }

  stop(): void {
    this.#instruments.stop();
  }

  page(): Promise<MetricsPage> {
    return this.#instruments.page();
  }

  values(): Promise<MetricValues> {
    return this.#instruments.values();
  }
}
