/**
 * What is usual of a service's hours: of the seven days that ended a day or two before. So what begins to drift is held
 * against hours without it until it has been told. Counted once a day, in turns with whatever the server does.
 */
import { setTimeout } from "node:timers/promises";
import { MICROS_PER_DAY } from "../../base/micros.ts";
import { type DriftWindow, mergeWindows } from "../../monitor/drift/drift-window.ts";
import { type UsualEffects, UsualHours } from "../../monitor/drift/usual-effects.ts";
import type { KeptWindows } from "../../monitor/drift/joined-windows.ts";

const DAYS = 7;

export class UsualWeek {
  readonly #windows: Pick<KeptWindows, "read">;
  readonly #samplesMin: number;
  /** By service: of the last week that was asked for. */
  readonly #known = new Map<string, { readonly endMicros: number; readonly usual: UsualEffects }>();

  constructor(windows: Pick<KeptWindows, "read">, samplesMin: number) {
    this.#windows = windows;
    this.#samplesMin = samplesMin;
  }

  /** Of the hours before the one that starts then. */
  async before(service: string, startMicros: number): Promise<UsualEffects> {
    const endMicros = Math.floor((startMicros - MICROS_PER_DAY) / MICROS_PER_DAY) * MICROS_PER_DAY;
    const known = this.#known.get(service);
    if (known?.endMicros === endMicros) return known.usual;
    const usual = await this.#count(service, endMicros);
    this.#known.set(service, { endMicros, usual });
    return usual;
  }

  clear(): void {
    this.#known.clear();
  }

  async #count(service: string, endMicros: number): Promise<UsualEffects> {
    let whole: DriftWindow | null = null;
    for await (const day of this.#days(service, endMicros)) {
      whole = mergeWindows(whole === null ? day : [whole, ...day]);
    }
    if (whole === null) return new Map();
    const hours = new UsualHours(whole, this.#samplesMin);
    for await (const day of this.#days(service, endMicros)) {
      const starts = new Set(day.map(({ startMicros }) => startMicros));
      for (const start of starts) hours.add(day.filter(({ startMicros }) => startMicros === start));
    }
    return hours.usual();
  }

  async *#days(service: string, endMicros: number): AsyncIterable<DriftWindow[]> {
    for (let day = endMicros - DAYS * MICROS_PER_DAY; day < endMicros; day += MICROS_PER_DAY) {
      const windows = await this.#windows.read(service, { fromMicros: day, untilMicros: day + MICROS_PER_DAY });
      if (windows.length > 0) yield windows;
      await setTimeout(0);
    }
  }
}
