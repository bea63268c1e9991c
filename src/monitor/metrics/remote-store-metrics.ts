/**
 * Metrics of an online store that is another process: of copying to it, by the owner, and of serving from it.
 */
import type { Instruments } from "./prometheus.ts";

/** What an owner that publishes tells. */
export interface PublishGauges {
  /** Whether the last attempt to copy succeeded. */
  readonly up: boolean;
  /** Since the copy had all that there was; 0 while it has. */
  readonly lagSeconds: number;
  readonly views: readonly {
    /** `view@version`. */
    readonly view: string;
    /** Events in the states of this machine and not in those of the copy, as far as its place says. */
    readonly lagEvents: number;
  }[];
  /** Written to the copy since the process began. */
  readonly states: number;
  /** Attempts that failed, by code. */
  readonly failures: ReadonlyMap<string, number>;
  /** Of states that wait to be copied. */
  readonly queuedBytes: number;
  readonly connectionsLost: number;
}

/** What a server tells that serves from such a store. */
export interface StoreGauges {
  /** Whether the store answered when it was asked last. */
  readonly up: boolean;
  readonly connectionsLost: number;
  /** Whether it tells of changes; null where it is not asked to. */
  readonly tells: boolean | null;
}

/** States fetched in one round trip, for so many requests: `code` is that of a failure or null. */
export interface Fetch {
  readonly states: number;
  readonly requests: number;
  readonly durationMs: number;
  readonly code: string | null;
}

export interface RemoteStoreHouse {
  /** Null where nothing is published. */
  publishing(): PublishGauges | null;
  /** Null where states are on this machine. */
  remoteStore(): StoreGauges | null;
}

const FETCH_SECONDS: number[] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

/** Adds them; what it returns counts a fetch. Where a part is not there its metrics have no line. */
export function addRemoteStoreMetrics(make: Instruments, house: RemoteStoreHouse): (fetch: Fetch) => void {
  addPublishing(make, house);
  const up = make.gauge("onefold_store_up", "1 while the online store answers", [], () => {
    const store = house.remoteStore();
    if (store === null) up.remove();
    else up.set(Number(store.up));
  });
  const lost = make.counter(
    "onefold_store_connections_lost_total",
    "Times that a connection to the online store broke",
    [],
    () => {
      const store = house.remoteStore();
      lost.reset();
      if (store === null) lost.remove();
      else lost.inc(store.connectionsLost);
    },
  );
  const tellsHelp = "1 while the online store tells of changes, so that what was read is kept until then";
  const tells = make.gauge("onefold_store_tells_changes", tellsHelp, [], () => {
    const isTold = house.remoteStore()?.tells ?? null;
    if (isTold === null) tells.remove();
    else tells.set(Number(isTold));
  });
  const roundTrip = "Round trip to the online store for the states of requests that came together";
  const seconds = make.histogram("onefold_store_fetch_seconds", roundTrip, [], FETCH_SECONDS);
  const states = make.counter("onefold_store_fetched_states_total", "States asked of the online store", []);
  const failing = "Requests whose states the online store did not give, by code";
  const failures = make.counter("onefold_store_failures_total", failing, ["code"]);
  if (house.remoteStore() === null) {
    seconds.remove();
    states.remove();
  }
  return ({ states: count, requests, durationMs, code }) => {
    // The channel is the process's: another house in it may have such a store.
    if (house.remoteStore() === null) return;
    seconds.observe(durationMs / 1000);
    states.inc(count);
    if (code !== null) failures.inc({ code }, requests);
  };
}

function addPublishing(make: Instruments, house: RemoteStoreHouse): void {
  const gauge = (name: string, help: string, value: (one: PublishGauges) => number): void => {
    const one = make.gauge(name, help, [], () => {
      const publishing = house.publishing();
      if (publishing === null) one.remove();
      else one.set(value(publishing));
    });
  };
  const counter = (name: string, help: string, value: (one: PublishGauges) => number): void => {
    const one = make.counter(name, help, [], () => {
      const publishing = house.publishing();
      one.reset();
      if (publishing === null) one.remove();
      else one.inc(value(publishing));
    });
  };
  gauge("onefold_publish_up", "1 while states are copied, 0 while that fails", ({ up }) => Number(up));
  gauge("onefold_publish_lag_seconds", "Time since the copy had all states", ({ lagSeconds }) => lagSeconds);
  gauge("onefold_publish_queued_bytes", "States that wait to be copied", ({ queuedBytes }) => queuedBytes);
  counter("onefold_published_states_total", "States written to the copy", ({ states }) => states);
  const lost = "Times that a connection to the copy's store broke";
  counter("onefold_publish_connections_lost_total", lost, ({ connectionsLost }) => connectionsLost);
  const behind = "Events in the states here that the copy's place of the view does not name yet";
  const lag = make.gauge("onefold_publish_lag_events", behind, ["view"], () => {
    lag.reset();
    for (const { view, lagEvents } of house.publishing()?.views ?? []) lag.set({ view }, lagEvents);
  });
  const failing = "Attempts to copy that failed, by code";
  const failures = make.counter("onefold_publish_failures_total", failing, ["code"], () => {
    failures.reset();
    for (const [code, count] of house.publishing()?.failures ?? []) failures.inc({ code }, count);
  });
}
