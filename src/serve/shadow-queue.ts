/**
 * Computes beside live requests what an experiment's shadow would have said, without returning it.
 *
 * An answer only leaves what it was asked. Later, in turns of their own and for a small part of the time, both versions are
 * read in one turn, at one time, from the same states: so what differs, differs by the definitions alone. Where requests
 * come faster than that, what waits is dropped and counted; no answer ever waits, and none fails.
 */
import { performance } from "node:perf_hooks";
import { type ErrorCode, isOnefoldError } from "../base/errors.ts";
import { type ReadContext, type ReadOptions, readVector } from "./feature-vector.ts";
import type { FetchedStates } from "./ports.ts";
import type { ShadowRead, ShadowSight } from "./shadow-sight.ts";
import type { ShadowAsk, ShadowTask } from "./shadow-task.ts";

type Fetch = (vectors: readonly Pick<ShadowAsk, "plan" | "keys">[]) => Promise<FetchedStates>;

/** So many may wait. */
export const SHADOWS_WAITING_MAX = 256;
/** So long, before what was asked is not live any more. */
const WAIT_MILLIS_MAX = 1000;
/** Of one turn; then requests have theirs. */
const TURN_MILLIS_MAX = 0.5;
/** Fetched in one round trip, where states must be fetched. */
const FETCHED_AT_ONCE = 32;

type Waiting = ShadowTask & { readonly sinceMs: number };

export class ShadowQueue {
  readonly #context: ReadContext;
  readonly #inOneMoment: ReadContext;
  readonly #fetch: Fetch | null;
  readonly #sight: ShadowSight;
  #waiting: Waiting[] = [];
  #isRunning = false;
  /** Who is read first pays for what is not at hand yet: each of the two in turn. */
  #isShadowFirst = false;

  constructor(context: ReadContext, fetch: Fetch | null, sight: ShadowSight) {
    this.#context = context;
    this.#inOneMoment = { clock: context.clock, maxFutureMicros: context.maxFutureMicros };
    this.#fetch = fetch;
    this.#sight = sight;
  }

  /** Never throws, and does nothing but remember it. */
  offer(task: ShadowTask): void {
    if (this.#waiting.length >= SHADOWS_WAITING_MAX) return this.#sight.dropped(task);
    this.#waiting.push({ ...task, sinceMs: performance.now() });
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    if (this.#fetch === null) {
      const endMs = performance.now() + TURN_MILLIS_MAX;
      do this.#compare(this.#waiting.shift()!, null);
      while (this.#waiting.length > 0 && performance.now() < endMs);
      this.#again();
      return;
    }
    const tasks = this.#waiting.splice(0, FETCHED_AT_ONCE);
    this.#compareFetched(tasks, this.#fetch).then(
      () => this.#again(),
      () => this.#again(),
    );
  }

  #again(): void {
    this.#isRunning = this.#waiting.length > 0;
    if (this.#isRunning) setImmediate(() => this.#run());
  }

  async #compareFetched(tasks: readonly Waiting[], fetch: Fetch): Promise<void> {
    for (const task of tasks) {
      try {
        const { served, shadow } = task.plans();
        this.#compare(task, await fetch([served, shadow]));
      } catch (error) {
        this.#sight.failed(task, codeOf(error));
      }
    }
  }

  #compare(task: Waiting, states: FetchedStates | null): void {
    if (performance.now() - task.sinceMs > WAIT_MILLIS_MAX) return this.#sight.dropped(task);
    try {
      const { served, shadow } = task.plans();
      const now = this.#context.clock.now();
      const options: ReadOptions = states === null ? { now } : { now, states };
      this.#isShadowFirst = !this.#isShadowFirst;
      // Once for both: between two moments of the store an event may have come.
      this.#context.snapshot?.renew(options.states);
      // Where one throws, nothing is compared.
      const early = this.#isShadowFirst ? this.#read(shadow, options) : null;
      const servedRead = this.#read(served, options);
      this.#sight.compared(task, servedRead, early ?? this.#read(shadow, options));
    } catch (error) {
      this.#sight.failed(task, codeOf(error));
    }
  }

  #read({ plan, keys, request }: ShadowAsk, options: ReadOptions): ShadowRead {
    const startMs = performance.now();
    const vector = readVector(plan, keys, this.#inOneMoment, { ...options, request });
    const micros = (performance.now() - startMs) * 1000;
    // What the functions of its on-demand views threw is theirs to tell when they are served.
    if (plan.program !== null) plan.program.slots.failures.length = 0;
    const viewMicros = plan.views.map(({ reader, buffer }, i) => {
      const viewMs = performance.now();
      reader.read(vector.states[i]!, vector.asOf, buffer);
      return (performance.now() - viewMs) * 1000;
    });
    return { plan, vector, micros, viewMicros };
  }
}

function codeOf(error: unknown): ErrorCode {
  return isOnefoldError(error) ? error.code : "INTERNAL";
}
