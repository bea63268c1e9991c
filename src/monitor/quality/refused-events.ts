/**
 * How many events expectations refused, by the minute: counted as they are refused, and from the dead letters for what was
 * before. Pushes that were blocked whole count as one each, since the process began: they leave no letter. As of all that is
 * counted by what the house publishes, where a process runs several platforms it is that of all.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import type { Clock } from "../../base/clock.ts";
import { MICROS_PER_MINUTE } from "../../base/micros.ts";
import type { Stretch } from "./judged-table.ts";

/** Longer stretches are not asked about. */
const KEPT_MINUTES = 32 * 24 * 60;

/** A dead letter of an expectation, and when it was written. */
export interface RefusedLetter {
  readonly expectation: string;
  readonly atMicros: number;
}

export interface RefusedEventsOptions {
  readonly clock: Clock;
  /** Whether events are refused in this process. */
  readonly counts: boolean;
  /** Dead letters of a source that expectations refused, resolved ones too. */
  letters(source: string): Promise<readonly RefusedLetter[]>;
}

interface Refused {
  readonly source: string;
  readonly expectation?: string;
}

export class RefusedEvents {
  readonly #options: RefusedEventsOptions;
  readonly #startMicros: number;
  /** By source and expectation: how many in which minute. */
  readonly #counts = new Map<string, Map<number, number>>();
  readonly #read = new Map<string, Promise<void>>();
  readonly #listener = (message: unknown): void => {
    const { source, expectation } = message as Refused;
    if (expectation !== undefined) this.#add(source, expectation, this.#options.clock.now());
  };

  constructor(options: RefusedEventsOptions) {
    this.#options = options;
    this.#startMicros = options.clock.now();
    if (!options.counts) return;
    for (const channel of [diagnostics.deadLetter, diagnostics.blocked]) channel.subscribe(this.#listener);
  }

  close(): void {
    for (const channel of [diagnostics.deadLetter, diagnostics.blocked]) channel.unsubscribe(this.#listener);
  }

  /** In the minutes that begin within the stretch. */
  async count(source: string, expectation: string, { startMicros, endMicros }: Stretch): Promise<number> {
    let reading = this.#read.get(source);
    if (reading === undefined) this.#read.set(source, (reading = this.#readLetters(source)));
    await reading;
    let sum = 0;
    for (const [minute, count] of this.#counts.get(keyOf(source, expectation)) ?? []) {
      const atMicros = minute * MICROS_PER_MINUTE;
      if (atMicros > startMicros - MICROS_PER_MINUTE && atMicros <= endMicros) sum += count;
    }
    return sum;
  }

  async #readLetters(source: string): Promise<void> {
    for (const { expectation, atMicros } of await this.#options.letters(source)) {
      if (atMicros < this.#startMicros) this.#add(source, expectation, atMicros);
    }
  }

  #add(source: string, expectation: string, atMicros: number): void {
    const key = keyOf(source, expectation);
    let minutes = this.#counts.get(key);
    if (minutes === undefined) this.#counts.set(key, (minutes = new Map()));
    const minute = Math.floor(atMicros / MICROS_PER_MINUTE);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
    if (minutes.size <= KEPT_MINUTES) return;
    for (const old of minutes.keys()) if (old < minute - KEPT_MINUTES) minutes.delete(old);
  }
}

function keyOf(source: string, expectation: string): string {
  return `${source} ${expectation}`;
}
