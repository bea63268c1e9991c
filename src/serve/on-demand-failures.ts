/**
 * What on-demand views throw, told to whoever runs the server: each message of a view once a minute, and no more
 * than so many messages a minute, so that a view that fails at every request does not fill a disk.
 */
import { diagnostics } from "../base/diagnostics.ts";
import type { Clock } from "../base/clock.ts";
import { OnefoldError } from "../base/errors.ts";
import { MICROS_PER_MINUTE } from "../base/micros.ts";
import type { OnDemandFailure } from "../vector/vector-slots.ts";

/** A message may hold an id of its request, and so be another each time. */
const MESSAGES_A_MINUTE_MAX = 20;

/** Tells from now on of failures in this process, until what it returns is called. Metrics count them all. */
export function tellOnDemandFailures(clock: Clock, onError: (error: OnefoldError) => void): () => void {
  const told = new Set<string>();
  let minuteStart = Number.NEGATIVE_INFINITY;
  const listener = (published: unknown): void => {
    const { view, code, message, where } = published as OnDemandFailure;
    const now = clock.now();
    if (now - minuteStart >= MICROS_PER_MINUTE || now < minuteStart) {
      told.clear();
      minuteStart = now;
    }
    const one = JSON.stringify([view, code, message]);
    if (told.has(one) || told.size >= MESSAGES_A_MINUTE_MAX) return;
    told.add(one);
    onError(new OnefoldError(code, `on-demand view ${view}: ${message}`, where === null ? {} : { where }));
  };
  diagnostics.onDemandFailed.subscribe(listener);
  return () => diagnostics.onDemandFailed.unsubscribe(listener);
}
