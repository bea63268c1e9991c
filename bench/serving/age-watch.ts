/**
 * How old a server that serves copied states says that they may be, asked for over HTTP all the time: plain replies over the
 * Redis protocol do not say it, and whoever checks them needs to know which events they had to have seen.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND } from "../../src/base/micros.ts";

const EVERY_MS = 20;
/** A reply is as old as those that were asked for within this before and behind it. */
const AROUND_MICROS = MICROS_PER_SECOND / 2;

export class AgeWatch {
  readonly #url: string;
  readonly #body: string;
  readonly #over = new AbortController();
  readonly #samples: { readonly at: Micros; readonly ageMicros: number }[] = [];
  readonly #watching: Promise<void>;

  /** Asks for one entity's vector, whichever: a view's age is that of all its states. */
  constructor(httpPort: number, service: string, entities: object) {
    this.#url = `http://127.0.0.1:${httpPort}/services/${service}/vector`;
    this.#body = JSON.stringify({ entities });
    this.#watching = this.#watch();
    this.#watching.catch(() => undefined);
  }

  /** Ages, in milliseconds. */
  get agesMs(): Float64Array {
    return Float64Array.from(this.#samples, ({ ageMicros }) => ageMicros / 1000).sort();
  }

  /** The largest between two times and shortly before and behind. */
  largest(from: Micros, to: Micros): number {
    let [low, high] = [0, this.#samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#samples[middle]!.at < from - AROUND_MICROS) low = middle + 1;
      else high = middle;
    }
    let largest = 0;
    for (let i = low; i < this.#samples.length && this.#samples[i]!.at <= to + AROUND_MICROS; i++) {
      largest = Math.max(largest, this.#samples[i]!.ageMicros);
    }
    return largest;
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const headers = { "content-type": "application/json" };
    while (!this.#over.signal.aborted) {
      const response = await fetch(this.#url, { method: "POST", headers, body: this.#body });
      const { metadata } = (await response.json()) as { readonly metadata: { readonly snapshot_age_ms: number } };
      this.#samples.push({ at: systemClock.now(), ageMicros: metadata.snapshot_age_ms * 1000 });
      await sleep(EVERY_MS);
    }
  }
}
