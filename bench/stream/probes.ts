/**
 * Events at a fixed rate, whatever becomes of them: every 5 ms those are sent that are due. One in each tick is of an
 * account that there was none of before, a probe: how long from when it was due until it can be read is the latency.
 * A tick that could not be sent in time is not excused.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { payment, type Payment } from "./workload.ts";

const TICK_MS = 5;
/** After the last event was due. A probe that is not there by then counts as if it had come then. */
const DRAIN_MS = 10_000;

export interface ProbeLoad {
  readonly eventsPerSecond: number;
  readonly seconds: number;
  readonly accounts: number;
  /** Begins the accounts of its probes. */
  readonly name: string;
  /** Takes rows as they are due; not waited for. */
  send(rows: readonly Payment[]): Promise<unknown>;
  /** Which of the accounts can be read, by place. */
  areServable(accounts: readonly string[]): Promise<readonly boolean[]>;
}

/** Milliseconds, one a probe, ascending. */
export async function probeLatencies(load: ProbeLoad): Promise<number[]> {
  const { eventsPerSecond, seconds, accounts, name, send, areServable } = load;
  const eventsATick = Math.max(1, Math.round((eventsPerSecond * TICK_MS) / 1000));
  const ticks = Math.round((seconds * 1000) / TICK_MS);
  const outstanding = new Map<string, number>();
  const latencies: number[] = [];
  let failure: unknown = null;
  const begin = performance.now() + TICK_MS;
  const end = begin + ticks * TICK_MS;
  const looking = (async () => {
    while (performance.now() < end || outstanding.size > 0) {
      if (failure !== null || performance.now() > end + DRAIN_MS) break;
      const asked = [...outstanding.keys()];
      const found = asked.length === 0 ? [] : await areServable(asked);
      const now = performance.now();
      for (const [i, account] of asked.entries()) {
        if (found[i] !== true) continue;
        latencies.push(now - outstanding.get(account)!);
        outstanding.delete(account);
      }
      await sleep(1);
    }
  })();
  for (let tick = 0; tick < ticks; tick++) {
    const dueAt = begin + tick * TICK_MS;
    while (performance.now() < dueAt) await sleep(1);
    const probe = `${name}-${tick}`;
    const rows = Array.from({ length: eventsATick }, (_, i) => payment(tick * eventsATick + i, accounts, Date.now()));
    rows[0] = { ...rows[0]!, account: probe };
    outstanding.set(probe, dueAt);
    send(rows).catch((error: unknown) => (failure ??= error));
  }
  await looking;
  if (failure !== null) throw failure;
  for (const dueAt of outstanding.values()) latencies.push(performance.now() - dueAt);
  return latencies.sort((a, b) => a - b);
}

export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}
