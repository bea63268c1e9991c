/**
 * What the platform tells of itself, on `node:diagnostics_channel`: monitoring subscribes, and code
 * on the hot path pays one boolean test while nobody listens.
 */
import { channel, type Channel } from "node:diagnostics_channel";

export const diagnostics: {
  /** Events made durable: `{source, accepted, duplicates, rejected, late, outOfOrder, differing}`: of those accepted, and of the duplicates. */
  readonly appended: Channel;
  /** A push's events made durable: `{source, durationMs}`, from when it was taken in. */
  readonly durable: Channel;
  /** `events[from..to)` folded into all views of their source: `{source, views, runners, events, from, to, nowMicros, durationMs}`. */
  readonly folded: Channel;
  /** State and positions flushed: `{source, states, bytes, durationMs}`. */
  readonly flushed: Channel;
  /** One dead letter: `{source, code, stage}`, and `expectation` where that refused it. */
  readonly deadLetter: Channel;
  /** A push that was refused whole: `{source, expectation}`. */
  readonly blocked: Channel;
  /** One poll of an API: `{source, outcome, code, requests, rows, durationMs}`; outcome is "rows", "nothing", "unchanged" or "failed", `code` that of a failure or null. */
  readonly polled: Channel;
  /** States fetched in one round trip from an online store elsewhere: `{states, requests, durationMs, code}`: of so many requests, `code` that of a failure or null. */
  readonly fetched: Channel;
  /** One offline commit: `{table, rows, version}`. */
  readonly committed: Channel;
  /**
   * One vector read: `{service, durationMs, statuses, isKept, plan, consumer}`: the plan is one object for as long as it
   * is read by, with `qualifiedNames` of the features, and the consumer what whoever asked calls itself, empty for nothing.
   */
  readonly served: Channel;
  /** One on-demand view failed in one vector: `{view, code, message, where}`, where it is defined, or null. */
  readonly onDemandFailed: Channel;
  /** One HTTP request answered: `{method, route, status, code, durationMs}`; `code` is null without an error. */
  readonly answered: Channel;
  /** One RESP command answered with an error: `{command, code}`; the command is empty where there is none of the name. */
  readonly refused: Channel;
} = {
  appended: channel("onefold:appended"),
  durable: channel("onefold:durable"),
  folded: channel("onefold:folded"),
  flushed: channel("onefold:flushed"),
  deadLetter: channel("onefold:dead-letter"),
  blocked: channel("onefold:blocked"),
  polled: channel("onefold:polled"),
  fetched: channel("onefold:fetched"),
  committed: channel("onefold:committed"),
  served: channel("onefold:served"),
  onDemandFailed: channel("onefold:on-demand-failed"),
  answered: channel("onefold:answered"),
  refused: channel("onefold:refused"),
};
