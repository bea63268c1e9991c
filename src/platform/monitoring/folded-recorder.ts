/**
 * Sketches of what this process folds, written twice a minute: `monitor/drift-folded/<view@version>/0/<hour>.json`, of a data
 * folder or beside the tables of workers.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import type { Clock } from "../../base/clock.ts";
import { type DurationMicros, MICROS_PER_DAY, MICROS_PER_HOUR } from "../../base/micros.ts";
import type { LogEvent } from "../../ingest/event.ts";
import type { FoldSight } from "../../ingest/fold-sight.ts";
import type { ViewRunner } from "../../ingest/view-runner.ts";
import type { DriftWindow } from "../../monitor/drift/drift-window.ts";
import { FoldedSampler, type ValueSight } from "../../monitor/drift/folded-sampler.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";

const EVERY_MILLIS = 30_000;
/** Windows are kept for so long. */
const KEPT_MICROS: DurationMicros = 31 * MICROS_PER_DAY;

export interface FoldedRecorderOptions {
  readonly folder: string;
  /** As `WindowFolder` has it. */
  readonly writer?: string;
  readonly clock: Clock;
  /** The part of all events that is looked at, 0 to 1; 0 looks at none. */
  readonly rate: number;
  readonly random?: () => number;
  /** Sees what is looked at, too. */
  readonly also?: ValueSight;
  /** Whether an entity was forgotten since it was asked last: what was seen may be of it, and is not kept. */
  readonly isForgotten?: () => Promise<boolean>;
}

/** Where sketches of folded values lie, by view. */
export function foldedWindows(folder: string, writer?: string): WindowFolder {
  return new WindowFolder(folder, writer, "drift-folded");
}

export class FoldedRecorder {
  /** Null where nothing is looked at. */
  readonly sight: FoldSight | null;
  readonly windows: WindowFolder;
  readonly #sampler: FoldedSampler | null;
  readonly #isForgotten: () => Promise<boolean>;
  readonly #clock: Clock;
  readonly #timer: NodeJS.Timeout | null;
  #tidiedMicros = Number.NEGATIVE_INFINITY;
  /** It never rejects. */
  #writing: Promise<void> = Promise.resolve();
  #unfollow: () => void = () => {};

  constructor(options: FoldedRecorderOptions) {
    const { folder, writer, clock, rate, random = Math.random, also } = options;
    this.#isForgotten = options.isForgotten ?? (() => Promise.resolve(false));
    this.windows = foldedWindows(folder, writer);
    this.#clock = clock;
    this.#sampler = rate > 0 ? new FoldedSampler(Math.min(1, rate), random, also) : null;
    this.sight = this.#sampler;
    this.#timer = this.#sampler === null ? null : setInterval(() => void this.flush(), EVERY_MILLIS).unref();
  }

  /** Looks at what pipelines of this process fold from now on: those whose runners are ours, as others may run in it. */
  follow(isOurs: (source: string, runner: ViewRunner) => boolean): void {
    const { sight } = this;
    if (sight === null) return;
    const known = new WeakSet<ViewRunner>();
    const isKnown = (source: string, runner: ViewRunner): boolean => {
      if (!known.has(runner) && isOurs(source, runner)) known.add(runner);
      return known.has(runner);
    };
    const listener = (message: unknown): void => {
      const folded = message as Folded;
      const [first] = folded.runners.values();
      if (first !== undefined && isKnown(folded.source, first)) lookAt(sight, folded);
    };
    diagnostics.folded.subscribe(listener);
    this.#unfollow = () => diagnostics.folded.unsubscribe(listener);
  }

  /** Resolves once what was seen so far is kept, or could not be. Never rejects. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const windows = (await this.#sampler?.take()) ?? [];
      // What could not be written is dropped: it is a sample, and the next one will do.
      if (windows.length > 0) await this.#keep(windows).catch(() => undefined);
    });
    return this.#writing;
  }

  async close(): Promise<void> {
    this.#unfollow();
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.flush();
  }

  async #keep(windows: readonly DriftWindow[]): Promise<void> {
    if (await this.#isForgotten()) return;
    await this.windows.add(windows);
    const now = this.#clock.now();
    if (now - this.#tidiedMicros < MICROS_PER_HOUR) return;
    this.#tidiedMicros = now;
    await this.windows.forgetBefore(now - KEPT_MICROS);
  }
}

/** As a pipeline tells it. */
interface Folded {
  readonly source: string;
  readonly runners: ReadonlyMap<string, ViewRunner>;
  readonly events: readonly LogEvent[];
  readonly from: number;
  readonly to: number;
}

/** A state is seen as it is behind the slice that its event was folded in, some hundred events at most. */
function lookAt(sight: FoldSight, { runners, events, from, to }: Folded): void {
  let at = from + sight.left - 1;
  while (at < to) {
    const event = events[at]!;
    if (!Number.isNaN(event.eventTime)) {
      for (const runner of runners.values()) {
        const key = runner.keyOf(event);
        const state = key === null ? null : runner.state(key);
        if (state !== null) sight.see(runner.view, state);
      }
    }
    sight.pass();
    at += sight.left;
  }
  sight.left = at - to + 1;
}
