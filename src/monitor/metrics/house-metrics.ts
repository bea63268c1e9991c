/**
 * Metrics that are asked of the house at each scrape: its sources and views, doors, workers and stores.
 */
import type { MonitoredHouse, SourceGauges, ViewGauges, WorkerCounts } from "./monitored-house.ts";
import type { Asked, Instruments } from "./prometheus.ts";

export function addSourceMetrics(make: Instruments, house: MonitoredHouse): void {
  const ofSource = (name: string, help: string, value: (one: SourceGauges) => number | null): void =>
    make.askedGauge(name, help, ["source"], () => perSource(house, value));
  const ofView = (name: string, help: string, value: (one: ViewGauges) => number): void =>
    make.askedGauge(name, help, ["view"], () =>
      house.sources().flatMap(({ views }) => views.map((one) => [{ view: one.view }, value(one)] as const)),
    );
  ofSource("onefold_source_up", "1 while the source takes events", (one) => Number(one.up));
  ofSource("onefold_pending_rows", "Rows taken in and not yet durable and folded", (one) => one.pendingRows);
  ofSource("onefold_archive_lag_events", "Durable events not archived yet", (one) => one.archiveLagEvents);
  const refused = "1 while an offline table of the source is refused, and what goes there waits";
  ofSource("onefold_table_refused", refused, (one) => Number(one.isTableRefused));
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
  addCostMetrics(make, house);
  const dropped = "Dead letters dropped unresolved to make room for newer ones, across restarts";
  make.askedCounter("onefold_dead_letters_dropped_total", dropped, ["source"], () =>
    perSource(house, (one) => one.droppedDeadLetters),
  );
}

/** What each view costs: what it takes to fold and to write; what reads it, `onefold_feature_reads_total` has. */
function addCostMetrics(make: Instruments, house: MonitoredHouse): void {
  const views = (): readonly ViewGauges[] => house.sources().flatMap(({ views: each }) => each);
  const cpu = "CPU time that a view takes, to fold its events and to encode its states";
  make.askedCounter("onefold_view_cpu_seconds_total", cpu, ["view", "stage"], () =>
    views().flatMap(({ view, cost }) => [
      [{ view, stage: "fold" }, cost.foldSeconds] as const,
      [{ view, stage: "encode" }, cost.encodeSeconds] as const,
    ]),
  );
  const written = "Bytes of a view's states written to the online store";
  make.askedCounter("onefold_view_written_bytes_total", written, ["view"], () =>
    views().map(({ view, cost }) => [{ view }, cost.bytesWritten] as const),
  );
}

function perSource(house: MonitoredHouse, value: (one: SourceGauges) => number | null): Asked {
  return house.sources().flatMap((one) => {
    const present = value(one);
    return present === null ? [] : [[{ source: one.source }, present] as const];
  });
}

/** Asked and not listened to: a command takes a few microseconds, and to publish it would double that. */
export function addRespMetrics(make: Instruments, house: MonitoredHouse): void {
  make.askedGauge("onefold_resp_connections", "Open RESP connections", [], () => [[{}, house.resp().connections]]);
  const help = "RESP requests by command, empty where there is none of the name";
  make.askedCounter("onefold_resp_commands_total", help, ["command"], () =>
    Array.from(house.resp().commands, ([command, count]) => [{ command }, count]),
  );
}

/** Nothing at all where there are none. */
export function addWorkerMetrics(make: Instruments, house: MonitoredHouse): void {
  const ask = (value: (counts: WorkerCounts) => number): Asked => {
    const counts = house.workers();
    return counts === null ? [] : [[{}, value(counts)]];
  };
  const restarts = "Times that a worker was started again";
  make.askedGauge("onefold_workers_warm", "Worker processes that serve", [], () => ask(({ warm }) => warm));
  make.askedCounter("onefold_worker_restarts_total", restarts, [], () => ask((counts) => counts.restarts));
}

export function addProcessMetrics(make: Instruments, house: MonitoredHouse): void {
  const one = (value: number | null): Asked => (value === null ? [] : [[{}, value]]);
  const memory = "Memory the process holds";
  make.askedGauge("process_resident_memory_bytes", memory, [], () => one(process.memoryUsage.rss()));
  const cpu = "User and system CPU time";
  make.askedCounter("process_cpu_seconds_total", cpu, [], () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  });
  const unread = "Fits on disk that cannot be read, and are not served";
  make.askedGauge("onefold_fits_unread", unread, [], () => one(house.unreadFits()));
  const registry = "1 where what other servers register is taken up, 0 while it cannot be";
  make.askedGauge("onefold_registry_up", registry, [], () => {
    const isUp = house.registryUp();
    return one(isUp === null ? null : Number(isUp));
  });
  make.askedGauge("onefold_disk_bytes", "What a store takes on disk, as of a minute ago", ["store"], async () =>
    (await house.storeBytes()).map(([name, bytes]) => [{ store: name }, bytes] as const),
  );
  const store = "Size of the online store on disk";
  make.askedGauge("onefold_online_store_bytes", store, [], async () => one(await house.onlineStoreBytes()));
}
