import { setTimeout as sleep } from "node:timers/promises";

/** Waits so long, or until the signal is given; keeps no process alive. */
export async function waitMicros(micros: number, signal: AbortSignal): Promise<void> {
  await sleep(micros / 1000, undefined, { signal, ref: false }).catch(() => undefined);
}
