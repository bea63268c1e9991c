/**
 * Metrics of events, from the door to the stores, and of the APIs that are polled for them.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import { DurationTally } from "./duration-tally.ts";
import { POLL_SECONDS, WORK_SECONDS } from "./latency-bounds.ts";
import type { Instruments } from "./prometheus.ts";

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

interface Folded {
  readonly source: string;
  readonly views: Iterable<string>;
  readonly events: readonly { readonly knownTime: number }[];
  readonly from: number;
  readonly to: number;
  readonly nowMicros: number;
  readonly durationMs: number;
}

export function addEventMetrics(make: Instruments): void {
  const events = make.counter("onefold_events_total", "Pushed rows by what became of them", ["source", "outcome"]);
  const late = make.counter(
    "onefold_events_late_total",
    "Accepted events that became known longer than the source's lateAfter after they happened",
    ["source"],
  );
  const outOfOrder = make.counter(
    "onefold_events_out_of_order_total",
    "Accepted events that happened before one that was accepted earlier",
    ["source"],
  );
  const differing = make.counter(
    "onefold_duplicates_differing_total",
    "Duplicates that held something else than the first event of their id",
    ["source"],
  );
  make.on<Appended>(diagnostics.appended, ({ source, ...counts }) => {
    differing.inc({ source }, counts.differing);
    late.inc({ source }, counts.late);
    outOfOrder.inc({ source }, counts.outOfOrder);
    events.inc({ source, outcome: "accepted" }, counts.accepted);
    events.inc({ source, outcome: "duplicate" }, counts.duplicates);
    events.inc({ source, outcome: "rejected" }, counts.rejected);
  });
  const letters = make.counter("onefold_dead_letters_total", "Dead letters written", ["source", "stage", "code"]);
  make.on<{ source: string; stage: string; code: string }>(diagnostics.deadLetter, ({ source, stage, code }) => {
    letters.inc({ source, stage, code });
  });
  addFoldMetrics(make);
}

function addFoldMetrics(make: Instruments): void {
  const byView = new Map<string, { folded: number; lagSeconds: number }>();
  make.askedCounter("onefold_events_folded_total", "Events folded into a view", ["view"], () =>
    Array.from(byView, ([view, { folded }]) => [{ view }, folded]),
  );
  make.askedGauge("onefold_fold_lag_seconds", "Age of the newest event when it was folded", ["view"], () =>
    Array.from(byView, ([view, { lagSeconds }]) => [{ view }, lagSeconds]),
  );
  const servable = new DurationTally(WORK_SECONDS);
  const foldSeconds = new DurationTally(WORK_SECONDS);
  make.on<Folded>(diagnostics.folded, ({ source, views, events, from, to, nowMicros, durationMs }) => {
    const lagSeconds = Math.max(0, nowMicros - events[to - 1]!.knownTime) / 1e6;
    for (const view of views) {
      const counted = byView.get(view);
      if (counted === undefined) byView.set(view, { folded: to - from, lagSeconds });
      else {
        counted.folded += to - from;
        counted.lagSeconds = lagSeconds;
      }
    }
    for (let i = from; i < to; i++) servable.add(source, Math.max(0, nowMicros - events[i]!.knownTime) / 1e6);
    foldSeconds.add(source, durationMs / 1000);
  });
  const servableHelp = "From when an event was accepted to when the next read sees it, in all views of its source";
  make.tallied("onefold_event_servable_seconds", servableHelp, "source", servable);
  make.tallied("onefold_fold_seconds", "Time to fold a slice of events into all views", "source", foldSeconds);
}

export function addStoreMetrics(make: Instruments): void {
  const seconds = new DurationTally(WORK_SECONDS);
  make.tallied("onefold_flush_seconds", "Time to commit changed states to the online store", "source", seconds);
  const appendSeconds = new DurationTally(WORK_SECONDS);
  const appendHelp = "From when a push was taken in to when its events are on disk";
  make.tallied("onefold_append_seconds", appendHelp, "source", appendSeconds);
  const states = make.counter("onefold_flushed_states_total", "States written to the online store", ["source"]);
  const bytes = make.counter("onefold_flushed_bytes_total", "Bytes of the states written", ["source"]);
  const rows = make.counter("onefold_offline_rows_total", "Rows committed to an offline table", ["table"]);
  make.on<{ source: string; states: number; bytes: number; durationMs: number }>(
    diagnostics.flushed,
    ({ source, states: count, bytes: written, durationMs }) => {
      seconds.add(source, durationMs / 1000);
      states.inc({ source }, count);
      bytes.inc({ source }, written);
    },
  );
  make.on<{ source: string; durationMs: number }>(diagnostics.durable, ({ source, durationMs }) =>
    appendSeconds.add(source, durationMs / 1000),
  );
  make.on<{ table: string; rows: number }>(diagnostics.committed, ({ table, rows: count }) => {
    rows.inc({ table }, count);
  });
}

export function addPollMetrics(make: Instruments): void {
  const polls = make.counter("onefold_polls_total", "Polls of APIs by outcome", ["source", "outcome"]);
  const failures = make.counter("onefold_poll_failures_total", "Polls that failed, by code", ["source", "code"]);
  const requests = make.counter("onefold_poll_requests_total", "Requests that polls sent", ["source"]);
  const rows = make.counter("onefold_poll_rows_total", "Rows in the answers to polls", ["source"]);
  const seconds = make.histogram("onefold_poll_seconds", "Time of a poll", ["source"], POLL_SECONDS);
  make.on<Polled>(diagnostics.polled, ({ source, outcome, code, requests: asked, rows: count, durationMs }) => {
    polls.inc({ source, outcome });
    if (code !== null) failures.inc({ source, code });
    requests.inc({ source }, asked);
    rows.inc({ source }, count);
    seconds.observe({ source }, durationMs / 1000);
  });
}
