/**
 * Looks at a random part of the events that are folded, and keeps profiles of the values that their entities have just then, by
 * view and hour: what is folded, whether or not anybody asks for it. An entity counts as often as it has events.
 *
 * The windows are those of served values, with the view in the place of the service.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { formatViewName, type ViewDefinition } from "../../define/definition.ts";
import { createReadBuffer, type ReadBuffer, type ViewFold, type ViewState } from "../../fold/view-fold.ts";
import type { Micros } from "../../base/micros.ts";
import type { Value } from "../../schema/value.ts";
import { type DriftWindow, type FeatureColumn, featureProfile, WINDOW_MICROS } from "./drift-window.ts";
import { type ProfileBuilder, profileBuilder } from "./profile-builder.ts";
import { profileKindOf, SKETCH } from "./profile.ts";
import { randomGap } from "./vector-sampler.ts";

interface FoldedView {
  readonly definition: ViewDefinition;
  readonly fold: ViewFold;
}

/** Is shown the values of a view's features, in their order, as of then. */
export interface ValueSight {
  see(view: ViewDefinition, values: ArrayLike<Value>, knownTime: number): void;
  /** Forgets what was seen and not taken yet. */
  forget?(): void;
}

interface Collecting {
  readonly name: string;
  readonly columns: readonly FeatureColumn[];
  readonly buffer: ReadBuffer;
  hour: number;
  vectors: number;
  builders: readonly ProfileBuilder[];
}

export class FoldedSampler {
  /** Events until the next that is to be shown. */
  left: number;
  readonly #rate: number;
  readonly #random: () => number;
  readonly #also: ValueSight | undefined;
  readonly #views = new Map<FoldedView["fold"], Collecting>();
  #finished: DriftWindow[] = [];

  /** `rate`: the part of all events that is looked at, above 0 and up to 1. `random`: 0 to 1, without 1. `also` sees the same. */
  constructor(rate: number, random: () => number, also?: ValueSight) {
    this.#also = also;
    this.#rate = rate;
    this.#random = random;
    this.left = randomGap(rate, random);
  }

  /** As of the state's newest event, in the hour in which that became known. Drafts are passed over. */
  see(view: FoldedView, state: ViewState): void {
    if (view.definition.version === "dev" || !Number.isFinite(state.lastKnownTime)) return;
    let collecting = this.#views.get(view.fold);
    if (collecting === undefined) this.#views.set(view.fold, (collecting = collectingOf(view)));
    const hour = Math.floor(state.lastKnownTime / WINDOW_MICROS);
    if (hour !== collecting.hour) {
      this.#finish(collecting);
      collecting.hour = hour;
    }
    const { buffer, builders } = collecting;
    view.fold.read(state, state.lastKnownTime as Micros, buffer);
    collecting.vectors++;
    for (let i = 0; i < builders.length; i++) builders[i]!.add(buffer.values[i]!);
    this.#also?.see(view.definition, buffer.values, state.lastKnownTime);
  }

  pass(): void {
    this.left = randomGap(this.#rate, this.#random);
  }

  forget(): void {
    this.#views.clear();
    this.#finished = [];
    this.#also?.forget?.();
  }

  /**
   * What was seen since this was last asked; of one view and hour there may be several windows. A view a turn, as putting
   * together what was seen of many takes long.
   */
  async take(): Promise<DriftWindow[]> {
    for (const [fold, collecting] of Array.from(this.#views)) {
      // It was forgotten meanwhile.
      if (this.#views.get(fold) !== collecting) continue;
      // What is seen from now on is of another window, for the next that asks.
      this.#views.delete(fold);
      this.#finish(collecting);
      await nextTurn();
    }
    const windows = this.#finished;
    this.#finished = [];
    return windows;
  }

  #finish(collecting: Collecting): void {
    const { name, columns, builders, hour, vectors } = collecting;
    if (vectors > 0) {
      this.#finished.push({
        service: name,
        fit: null,
        startMicros: hour * WINDOW_MICROS,
        endMicros: (hour + 1) * WINDOW_MICROS,
        vectors,
        features: columns.map((column, i) => featureProfile(column, builders[i]!.profile())),
      });
    }
    collecting.vectors = 0;
    collecting.builders = buildersOf(columns);
  }
}

function collectingOf({ definition }: FoldedView): Collecting {
  const view = formatViewName(definition);
  const columns = definition.features.map(({ name, type }) => ({ name, view, type }));
  const buffer = createReadBuffer(columns.length);
  return { name: view, columns, buffer, hour: Number.NaN, vectors: 0, builders: buildersOf(columns) };
}

/** Each fills another part of its buffer first, so that many do not count in the same moment. */
function buildersOf(columns: readonly FeatureColumn[]): ProfileBuilder[] {
  return columns.map(({ type }, place) => profileBuilder(profileKindOf(type), SKETCH, (place + 1) / columns.length));
}
