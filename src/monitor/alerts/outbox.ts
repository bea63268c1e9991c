/**
 * Notices that wait to be delivered, as plain data: which are due, what a failure makes of one, how many may wait.
 *
 * Those of one destination and rule go one after the other: nobody hears that something is over before hearing that it
 * began.
 */
import { MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from "../../base/micros.ts";
import type { Notice } from "./notice.ts";

export interface Undelivered {
  readonly notice: Notice;
  readonly destination: string;
  /** The rule: what must be told in order. */
  readonly chain: string;
  readonly createdMicros: number;
  readonly attempts: number;
  readonly nextMicros: number;
  readonly lastError: string | null;
}

/** The oldest of a destination gives way. */
export const WAITING_MAX = 500;
/** Requests, or commands, of one destination at the same time. */
const AT_ONCE_MAX = 4;
const FIRST_WAIT_MICROS = 2 * MICROS_PER_SECOND;
const WAIT_MICROS_MAX = 10 * MICROS_PER_MINUTE;
const ASKED_WAIT_MICROS_MAX = MICROS_PER_HOUR;

export function idOf({ notice, destination }: Pick<Undelivered, "notice" | "destination">): string {
  return `${notice.id} ${destination}`;
}

/** Those to be sent now, given which are under way. */
export function dueNow(
  outbox: readonly Undelivered[],
  underWay: ReadonlySet<string>,
  nowMicros: number,
): Undelivered[] {
  const chains = new Set<string>();
  const busy = new Map<string, number>();
  for (const entry of outbox) {
    if (underWay.has(idOf(entry))) busy.set(entry.destination, (busy.get(entry.destination) ?? 0) + 1);
  }
  return outbox.filter((entry) => {
    const chain = JSON.stringify([entry.destination, entry.chain]);
    if (chains.has(chain)) return false;
    chains.add(chain);
    const count = busy.get(entry.destination) ?? 0;
    if (underWay.has(idOf(entry)) || mustWait(entry, nowMicros) || count >= AT_ONCE_MAX) return false;
    busy.set(entry.destination, count + 1);
    return true;
  });
}

/** Nobody is left alone for longer: then the clock was ahead when that was noted. */
function mustWait({ nextMicros }: Undelivered, nowMicros: number): boolean {
  return nextMicros > nowMicros && nextMicros - nowMicros <= ASKED_WAIT_MICROS_MAX;
}

/**
 * What becomes of one that could not be delivered: it is tried again, later each time and at no two destinations at the
 * same moment; or null once it is too old. `askedMicros`: how long the receiver asked to be left alone.
 */
export function afterFailure(
  entry: Undelivered,
  error: string,
  options: {
    readonly giveUpMicros: number;
    readonly nowMicros: number;
    readonly random: number;
    readonly askedMicros?: number;
  },
): Undelivered | null {
  const { giveUpMicros, nowMicros, random, askedMicros = 0 } = options;
  const attempts = entry.attempts + 1;
  const longest = Math.min(WAIT_MICROS_MAX, FIRST_WAIT_MICROS * 2 ** Math.min(20, attempts - 1));
  const waited = Math.max(Math.min(askedMicros, ASKED_WAIT_MICROS_MAX), Math.round(longest * (0.5 + random / 2)));
  if (nowMicros - entry.createdMicros >= giveUpMicros) return null;
  // The last attempt comes at the end of its time, not long after it.
  const nextMicros = Math.max(nowMicros + 1, Math.min(nowMicros + waited, entry.createdMicros + giveUpMicros));
  return { ...entry, attempts, nextMicros, lastError: error };
}

/** With `added` behind it, and what had to give way. */
export function withAdded(
  outbox: readonly Undelivered[],
  added: readonly Undelivered[],
): { readonly outbox: readonly Undelivered[]; readonly dropped: readonly Undelivered[] } {
  const all = [...outbox, ...added];
  const counts = new Map<string, number>();
  for (const { destination } of all) counts.set(destination, (counts.get(destination) ?? 0) + 1);
  const dropped = all.filter(({ destination }) => {
    const count = counts.get(destination)!;
    if (count <= WAITING_MAX) return false;
    counts.set(destination, count - 1);
    return true;
  });
  const gone = new Set(dropped);
  return { outbox: all.filter((entry) => !gone.has(entry)), dropped };
}
