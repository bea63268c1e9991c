/**
 * Metrics in the Prometheus text format.
 *
 * Counters and histograms listen to what the house publishes (`base/diagnostics.ts`), from `start` to `stop`;
 * gauges are asked for when someone scrapes. The channels belong to the process: where it runs several
 * platforms, the counters are those of all.
 */
import type { Channel } from "node:diagnostics_channel";
import { AggregatorRegistry, Counter, Gauge, Histogram, type PrometheusContentType, Registry } from "prom-client";
import { diagnostics } from "../base/diagnostics.ts";
import { addAlertMetrics, type AlertHouse } from "./alerts/alert-metrics.ts";
import { type DurationTally, histogramLines } from "./duration-tally.ts";
import { addRemoteStoreMetrics, type Fetch, type RemoteStoreHouse } from "./remote-store-metrics.ts";
import { RequestTally } from "./request-tally.ts";
import { VectorTally } from "./vector-tally.ts";

export interface SourceGauges {
  readonly source: string;
  /** Rows taken in and not yet durable and folded. */
  readonly pendingRows: number;
  /** Durable events that are not in the offline archive yet; null until the archive was first looked at. */
  readonly archiveLagEvents: number | null;
  readonly openDeadLetters: number;
  readonly droppedDeadLetters: number;
  /** Whether it takes events: false once a write has failed. */
  readonly up: boolean;
  readonly views: readonly ViewGauges[];
  /** Null where it is not polled. */
  readonly poll: PollGauges | null;
  /** The same of the runs of a batch source. */
  readonly batch: PollGauges | null;
}

export interface PollGauges {
  /** Null before the first success. */
  readonly sinceSuccessSeconds: number | null;
  /** Below 0 while a poll is under way. */
  readonly dueInSeconds: number | null;
  /** Polls that failed since one succeeded. */
  readonly failures: number;
}

export interface ViewGauges {
  /** `view@version`. */
  readonly view: string;
  /** Durable events it has not folded yet. */
  readonly lagEvents: number;
  /** States changed since they were last written to the online store. */
  readonly unflushedStates: number;
}

/** What open RESP doors have counted. */
export interface RespCounts {
  readonly connections: number;
  /** Requests by command; those of unknown commands under an empty name. */
  readonly commands: ReadonlyMap<string, number>;
}

export interface WorkerCounts {
  /** That serve now. */
  readonly warm: number;
  /** Times that one was started again. */
  readonly restarts: number;
}

/** What is asked at each scrape; to answer must be cheap. */
export interface MonitoredHouse extends RemoteStoreHouse, AlertHouse {
  sources(): readonly SourceGauges[];
  resp(): RespCounts;
  /** Fits on disk that could not be read when they were last looked for. */
  unreadFits(): number;
  /** Whether what other servers register is taken up; null where no others share the registry. */
  registryUp(): boolean | null;
  /** Null where this process has none. */
  workers(): WorkerCounts | null;
  /** Null where the store does not say. */
  onlineStoreBytes(): Promise<number | null>;
  /** Names of the status codes that vectors carry, by code. */
  readonly statusNames: readonly string[];
}

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** What one process has counted and measured: plain data, to be sent to another that sums. */
export type MetricValues = readonly MetricValue[];
interface MetricValue {
  readonly name: string;
  /** "counter", "gauge" or "histogram". */
  readonly type: unknown;
}

interface Appended {
  readonly source: string;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly late: number;
  readonly outOfOrder: number;
  readonly differing: number;
}

interface Polled {
  readonly source: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly requests: number;
  readonly rows: number;
  readonly durationMs: number;
}

/** From 50 microseconds, a warm vector, to 5 s. */
const READ_SECONDS: number[] = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 5];
const WORK_SECONDS: number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const POLL_SECONDS: number[] = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export class Metrics {
  readonly #house: MonitoredHouse;
  readonly #registry = new Registry();
  readonly #subscriptions: { readonly channel: Channel; readonly listener: (message: unknown) => void }[] = [];
  #listening = false;

  constructor(house: MonitoredHouse) {
    this.#house = house;
    this.#listenToRequests();
    this.#listenToVectors();
    this.#listenToEvents();
    this.#listenToStores();
    this.#listenToPolls();
    this.#askSources();
    this.#askRespDoors();
    this.#askWorkers();
    this.#askProcess();
    this.#askRemoteStores();
  }

  /** Listens from now on; a second call does nothing. */
  start(): void {
    if (this.#listening) return;
    this.#listening = true;
    for (const { channel, listener } of this.#subscriptions) channel.subscribe(listener);
  }

  stop(): void {
    this.#listening = false;
    for (const { channel, listener } of this.#subscriptions) channel.unsubscribe(listener);
  }

  async page(): Promise<MetricsPage> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  async values(): Promise<MetricValues> {
    return (await this.#registry.getMetricsAsJSON()) as unknown as MetricValues;
  }

  #listenToRequests(): void {
    const tally = new RequestTally(WORK_SECONDS);
    const requests: Counter = this.#counter(
      "onefold_http_requests_total",
      "HTTP requests answered",
      ["method", "route", "status"],
      () => {
        requests.reset();
        for (const { method, route, status, count } of tally.counted()) {
          requests.inc({ method, route, status: String(status) }, count);
        }
      },
    );
    this.#tallied("onefold_http_request_seconds", "Time to answer", "route", tally.durations);
    const errors = this.#counter("onefold_errors_total", "Error answers by code", ["code"]);
    this.#on<{ method: string; route: string; status: number; code: string | null; durationMs: number }>(
      diagnostics.answered,
      ({ method, route, status, code, durationMs }) => {
        tally.add(method, route, status, durationMs / 1000);
        if (code !== null) errors.inc({ code });
      },
    );
    this.#on<{ code: string }>(diagnostics.refused, ({ code }) => errors.inc({ code }));
  }

  #listenToVectors(): void {
    const { statusNames } = this.#house;
    const tally = new VectorTally(READ_SECONDS, statusNames.length);
    this.#on<{ service: string; durationMs: number; statuses: readonly number[]; isKept: boolean }>(
      diagnostics.served,
      ({ service, durationMs, statuses, isKept }) => tally.add(service, durationMs / 1000, statuses, isKept),
    );
    const vectors: Counter = this.#counter("onefold_vectors_total", "Feature vectors read", ["service"], () => {
      vectors.reset();
      for (const [service, { count }] of tally.durations.entries()) vectors.inc({ service }, count);
    });
    const kept: Counter = this.#counter(
      "onefold_vectors_kept_total",
      "Feature vectors answered as they were read before, unchanged since",
      ["service"],
      () => {
        kept.reset();
        for (const [service] of tally.durations.entries()) kept.inc({ service }, tally.kept.get(service) ?? 0);
      },
    );
    const failures = this.#counter(
      "onefold_on_demand_errors_total",
      "Failures of on-demand views, one a vector or output",
      ["view", "code"],
    );
    this.#on<{ view: string; code: string }>(diagnostics.onDemandFailed, ({ view, code }) =>
      failures.inc({ view, code }),
    );
    const values: Counter = this.#counter(
      "onefold_feature_values_total",
      "Feature values read, by status",
      ["status"],
      () => {
        values.reset();
        for (const [code, count] of tally.statuses.entries()) {
          if (count > 0) values.inc({ status: statusNames[code]! }, count);
        }
      },
    );
    this.#tallied("onefold_vector_seconds", "Time to read a vector", "service", tally.durations);
  }

  #listenToEvents(): void {
    const events = this.#counter("onefold_events_total", "Pushed rows by what became of them", ["source", "outcome"]);
    const late = this.#counter(
      "onefold_events_late_total",
      "Accepted events that became known longer than the source's lateAfter after they happened",
      ["source"],
    );
    const outOfOrder = this.#counter(
      "onefold_events_out_of_order_total",
      "Accepted events that happened before one that was accepted earlier",
      ["source"],
    );
    const differing = this.#counter(
      "onefold_duplicates_differing_total",
      "Duplicates that held something else than the first event of their id",
      ["source"],
    );
    const letters = this.#counter("onefold_dead_letters_total", "Dead letters written", ["source", "stage", "code"]);
    const folded = this.#counter("onefold_events_folded_total", "Events folded into a view", ["view"]);
    const lag = this.#gauge("onefold_fold_lag_seconds", "Age of the newest event when it was folded", ["view"]);
    this.#on<Appended>(
      diagnostics.appended,
      ({
        source,
        accepted,
        duplicates,
        rejected,
        late: lateCount,
        outOfOrder: outOfOrderCount,
        differing: differingCount,
      }) => {
        differing.inc({ source }, differingCount);
        late.inc({ source }, lateCount);
        outOfOrder.inc({ source }, outOfOrderCount);
        events.inc({ source, outcome: "accepted" }, accepted);
        events.inc({ source, outcome: "duplicate" }, duplicates);
        events.inc({ source, outcome: "rejected" }, rejected);
      },
    );
    this.#on<{ source: string; stage: string; code: string }>(diagnostics.deadLetter, (labels) => {
      letters.inc({ source: labels.source, stage: labels.stage, code: labels.code });
    });
    this.#on<{ view: string; events: number; lastKnownTime: number; nowMicros: number }>(
      diagnostics.folded,
      ({ view, events: count, lastKnownTime, nowMicros }) => {
        folded.inc({ view }, count);
        lag.set({ view }, Math.max(0, nowMicros - lastKnownTime) / 1e6);
      },
    );
  }

  #listenToStores(): void {
    const seconds = this.#histogram(
      "onefold_flush_seconds",
      "Time to commit changed states to the online store",
      ["source"],
      WORK_SECONDS,
    );
    const states = this.#counter("onefold_flushed_states_total", "States written to the online store", ["source"]);
    const bytes = this.#counter("onefold_flushed_bytes_total", "Bytes of the states written", ["source"]);
    const rows = this.#counter("onefold_offline_rows_total", "Rows committed to an offline table", ["table"]);
    this.#on<{ source: string; states: number; bytes: number; durationMs: number }>(
      diagnostics.flushed,
      ({ source, states: count, bytes: written, durationMs }) => {
        seconds.observe({ source }, durationMs / 1000);
        states.inc({ source }, count);
        bytes.inc({ source }, written);
      },
    );
    this.#on<{ table: string; rows: number }>(diagnostics.committed, ({ table, rows: count }) => {
      rows.inc({ table }, count);
    });
  }

  #listenToPolls(): void {
    const polls = this.#counter("onefold_polls_total", "Polls of APIs by outcome", ["source", "outcome"]);
    const failures = this.#counter("onefold_poll_failures_total", "Polls that failed, by code", ["source", "code"]);
    const requests = this.#counter("onefold_poll_requests_total", "Requests that polls sent", ["source"]);
    const rows = this.#counter("onefold_poll_rows_total", "Rows in the answers to polls", ["source"]);
    const seconds = this.#histogram("onefold_poll_seconds", "Time of a poll", ["source"], POLL_SECONDS);
    this.#on<Polled>(diagnostics.polled, ({ source, outcome, code, requests: asked, rows: count, durationMs }) => {
      polls.inc({ source, outcome });
      if (code !== null) failures.inc({ source, code });
      requests.inc({ source }, asked);
      rows.inc({ source }, count);
      seconds.observe({ source }, durationMs / 1000);
    });
  }

  #askSources(): void {
    const house = this.#house;
    const ofSource = (name: string, help: string, value: (one: SourceGauges) => number | null): void => {
      const gauge = this.#gauge(name, help, ["source"], () => {
        gauge.reset();
        for (const one of house.sources()) {
          const present = value(one);
          if (present !== null) gauge.set({ source: one.source }, present);
        }
      });
    };
    const ofView = (name: string, help: string, value: (one: ViewGauges) => number): void => {
      const gauge = this.#gauge(name, help, ["view"], () => {
        gauge.reset();
        for (const { views } of house.sources()) for (const one of views) gauge.set({ view: one.view }, value(one));
      });
    };
    ofSource("onefold_source_up", "1 while the source takes events", (one) => Number(one.up));
    ofSource("onefold_pending_rows", "Rows taken in and not yet durable and folded", (one) => one.pendingRows);
    ofSource("onefold_archive_lag_events", "Durable events not archived yet", (one) => one.archiveLagEvents);
    ofSource("onefold_dead_letters_open", "Dead letters neither resolved nor dropped", (one) => one.openDeadLetters);
    const sinceSuccess = "Time since a poll succeeded";
    ofSource("onefold_poll_since_success_seconds", sinceSuccess, (one) => one.poll?.sinceSuccessSeconds ?? null);
    const dueIn = "Time until the next poll is due, below 0 while one is under way";
    ofSource("onefold_poll_due_in_seconds", dueIn, (one) => one.poll?.dueInSeconds ?? null);
    const failing = "Polls that failed since one succeeded";
    ofSource("onefold_poll_failing", failing, (one) => one.poll?.failures ?? null);
    const sinceRun = "Time since a run of a batch source succeeded";
    ofSource("onefold_batch_since_success_seconds", sinceRun, (one) => one.batch?.sinceSuccessSeconds ?? null);
    const runIn = "Time until the next run of a batch source is due, below 0 while one is under way";
    ofSource("onefold_batch_due_in_seconds", runIn, (one) => one.batch?.dueInSeconds ?? null);
    const runsFailing = "Runs of a batch source that failed since one succeeded";
    ofSource("onefold_batch_failing", runsFailing, (one) => one.batch?.failures ?? null);
    ofView("onefold_fold_lag_events", "Durable events the view has not folded yet", (one) => one.lagEvents);
    ofView("onefold_unflushed_states", "States changed since their last write", (one) => one.unflushedStates);
    const dropped = new Counter({
      name: "onefold_dead_letters_dropped_total",
      help: "Dead letters dropped unresolved to make room for newer ones, across restarts",
      labelNames: ["source"],
      registers: [this.#registry],
      collect: () => {
        dropped.reset();
        for (const { source, droppedDeadLetters } of house.sources()) dropped.inc({ source }, droppedDeadLetters);
      },
    });
  }

  /** Asked and not listened to: a command takes a few microseconds, and to publish it would double that. */
  #askRespDoors(): void {
    const house = this.#house;
    const connections = this.#gauge("onefold_resp_connections", "Open RESP connections", [], () => {
      connections.set(house.resp().connections);
    });
    const commands = new Counter({
      name: "onefold_resp_commands_total",
      help: "RESP requests by command, empty where there is none of the name",
      labelNames: ["command"],
      registers: [this.#registry],
      collect: () => {
        commands.reset();
        for (const [command, count] of house.resp().commands) commands.inc({ command }, count);
      },
    });
  }

  /** Nothing at all where there are none. */
  #askWorkers(): void {
    const ask = (metric: Counter | Gauge, add: (counts: WorkerCounts) => void): void => {
      const counts = this.#house.workers();
      metric.reset();
      if (counts === null) metric.remove();
      else add(counts);
    };
    const warm: Gauge = this.#gauge("onefold_workers_warm", "Worker processes that serve", [], () =>
      ask(warm, (counts) => warm.set(counts.warm)),
    );
    const help = "Times that a worker was started again";
    const restarts: Counter = this.#counter("onefold_worker_restarts_total", help, [], () =>
      ask(restarts, (counts) => restarts.inc(counts.restarts)),
    );
  }

  #askRemoteStores(): void {
    const fetched = addRemoteStoreMetrics(
      {
        counter: (...given) => this.#counter(...given),
        gauge: (...given) => this.#gauge(...given),
        histogram: (...given) => this.#histogram(...given),
      },
      this.#house,
    );
    this.#on<Fetch>(diagnostics.fetched, fetched);
    addAlertMetrics({ askedGauge: (...given) => this.#askedGauge(...given) }, this.#house);
  }

  #askProcess(): void {
    const memory = this.#gauge("process_resident_memory_bytes", "Memory the process holds", [], () => {
      memory.set(process.memoryUsage.rss());
    });
    const unread = this.#gauge(
      "onefold_fits_unread",
      "Fits on disk that cannot be read, and are not served",
      [],
      () => {
        unread.set(this.#house.unreadFits());
      },
    );
    const registry = this.#gauge(
      "onefold_registry_up",
      "1 where what other servers register is taken up, 0 while it cannot be",
      [],
      () => {
        const isUp = this.#house.registryUp();
        registry.reset();
        if (isUp !== null) registry.set(Number(isUp));
      },
    );
    const store = this.#gauge("onefold_online_store_bytes", "Size of the online store on disk", [], async () => {
      const bytes = await this.#house.onlineStoreBytes();
      store.reset();
      if (bytes !== null) store.set(bytes);
    });
  }

  #counter(name: string, help: string, labelNames: string[], collect?: () => void): Counter {
    return new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      ...(collect === undefined ? {} : { collect }),
    });
  }

  #gauge(name: string, help: string, labelNames: string[], collect?: () => void | Promise<void>): Gauge {
    return new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      ...(collect === undefined ? {} : { collect }),
    });
  }

  #askedGauge(
    name: string,
    help: string,
    labelNames: string[],
    ask: () => Iterable<readonly [Readonly<Record<string, string>>, number]>,
  ): void {
    const gauge = this.#gauge(name, help, labelNames, () => {
      gauge.reset();
      for (const [labels, value] of ask()) gauge.set({ ...labels }, value);
    });
  }

  /** The registry asks any metric for its lines; this one's are counted by a tally. */
  #tallied(name: string, help: string, label: string, tally: DurationTally): void {
    const described = { name, help, type: "histogram", aggregator: "sum" };
    const metric = { ...described, get: async () => ({ ...described, values: histogramLines(name, label, tally) }) };
    this.#registry.registerMetric(metric as unknown as Histogram);
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] });
  }

  #on<Message>(channel: Channel, listener: (message: Message) => void): void {
    this.#subscriptions.push({ channel, listener: (message) => listener(message as Message) });
  }
}

/** One page of the sums over several processes. */
export async function sumPage(processes: readonly MetricValues[]): Promise<MetricsPage> {
  const sums = AggregatorRegistry.aggregate<PrometheusContentType>([...processes]);
  return { contentType: sums.contentType, text: await sums.metrics() };
}

/** What several processes have counted together, without what was only measured: for when they are gone. */
export async function sumCounted(processes: readonly MetricValues[]): Promise<MetricValues> {
  const sums = (await AggregatorRegistry.aggregate([...processes]).getMetricsAsJSON()) as unknown as MetricValues;
  return sums.filter(({ type }) => type !== "gauge");
}
