/**
 * Looks at a part of the vectors that this process serves, and hands on what it saw twice a minute: to the folder of
 * windows, or, in a worker, to the owner of the data folder.
 */
import type { DriftWindow } from "../../monitor/drift/drift-window.ts";
import { type SampledService, VectorSampler } from "../../monitor/drift/vector-sampler.ts";
import type { SeenPlan, VectorSight } from "../../serve/ports.ts";
import type { Value } from "../../schema/value.ts";

const EVERY_MILLIS = 30_000;

/** The part of all vectors that is looked at, unless said otherwise. */
export const DRIFT_SAMPLE_RATE = 0.005;

export interface DriftRecorderOptions {
  /** 0 to 1; 0 looks at none. */
  readonly rate: number;
  /** Takes windows, whole once it resolves. */
  readonly keep: (windows: readonly DriftWindow[]) => Promise<void>;
  readonly onError?: (error: unknown) => void;
  readonly random?: () => number;
}

export class DriftRecorder {
  /** Absent where nothing is looked at. */
  readonly sight: VectorSight | undefined;
  readonly #sampler: VectorSampler | null;
  readonly #keep: DriftRecorderOptions["keep"];
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout | null;
  /** Writes follow each other; it never rejects. */
  #writing: Promise<void> = Promise.resolve();
  #waiting: DriftWindow[] = [];

  constructor({ rate, keep, onError = () => {}, random = Math.random }: DriftRecorderOptions) {
    this.#keep = keep;
    this.#onError = onError;
    this.#sampler = rate > 0 ? new VectorSampler(Math.min(1, rate), random) : null;
    this.sight = this.#sampler === null ? undefined : sightOf(this.#sampler);
    this.#timer = this.#sampler === null ? null : setInterval(() => void this.flush(), EVERY_MILLIS).unref();
  }

  /** Of another process. */
  add(windows: readonly DriftWindow[]): void {
    this.#waiting.push(...windows);
  }

  /** Resolves once what was seen so far is kept, or could not be. Never rejects. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const windows = [...this.#waiting, ...(this.#sampler?.take() ?? [])];
      this.#waiting = [];
      if (windows.length === 0) return;
      // What could not be written is dropped: it is a sample, and the next one will do.
      await this.#keep(windows).catch(this.#onError);
    });
    return this.#writing;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.flush();
  }
}

function sightOf(sampler: VectorSampler): VectorSight {
  const known = new WeakMap<SeenPlan, SampledService>();
  return {
    get left(): number {
      return sampler.left;
    },
    set left(left: number) {
      sampler.left = left;
    },
    see(plan: SeenPlan, values: readonly Value[], asOf: number): void {
      // Features that were asked for by name are no service's.
      if (plan.service === "") return sampler.pass();
      let of = known.get(plan);
      if (of === undefined) {
        const columns = plan.outputs.map(({ name, view, type }) => ({ name, view, type }));
        known.set(plan, (of = { service: plan.service, fit: plan.program?.fit?.version ?? null, columns }));
      }
      sampler.see(of, values, asOf);
    },
  };
}
