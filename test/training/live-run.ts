/**
 * What a server would have done with a log: states folded event by event, vectors served along the way. The
 * fold's path can be tampered with, which is how faults are injected.
 */
import type { Micros } from "../../src/base/micros.ts";
import { createReadBuffer, type FoldEvent, type ViewFold, type ViewState } from "../../src/fold/view-fold.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import type { EntityKey } from "../../src/schema/entity-key.ts";
import type { ServedVector } from "../../src/schema/served-vector.ts";
import type { TrainingView } from "../../src/training/ports.ts";

export interface LiveRun {
  readonly states: ReadonlyMap<EntityKey, Uint8Array>;
  readonly vectors: readonly ServedVector[];
}

/** Which events the fold is really given in place of one that should be folded. */
export type FoldPath = (event: FoldEvent) => readonly FoldEvent[];

/** After `afterOffset`, a vector of `key` is served at `asOf`. */
export interface Serving {
  readonly afterOffset: number;
  readonly key: EntityKey;
  readonly asOf: number;
}

export function runLive(
  view: TrainingView,
  events: readonly FoldEvent[],
  servings: readonly Serving[],
  path: FoldPath = (event) => [event],
): LiveRun {
  const { fold } = view;
  const states = new Map<EntityKey, ViewState>();
  const vectors: ServedVector[] = [];
  for (const event of events) {
    for (const given of path(event)) {
      const key = fold.keyOf(given.row);
      const state = states.get(key) ?? fold.empty();
      states.set(key, state);
      fold.fold(state, given);
    }
    for (const { key, asOf, afterOffset } of servings) {
      if (afterOffset === event.offset) vectors.push(serve(view, states.get(key) ?? null, key, asOf));
    }
  }
  return { states: new Map([...states].map(([key, state]) => [key, fold.encode(state)])), vectors };
}

/** `readAt` is when the values are read; the token says `asOf`. */
export function serve(
  view: TrainingView,
  state: ViewState | null,
  key: EntityKey,
  asOf: number,
  readAt: number = asOf,
): ServedVector {
  const name = `${view.definition.name}@${view.definition.version}`;
  const read = createReadBuffer(view.fold.features.length);
  view.fold.read(state, readAt as Micros, read);
  const lastOffset = state === null || state.lastOffset === Number.NEGATIVE_INFINITY ? null : state.lastOffset;
  return {
    service: "model",
    keys: { [view.entity.name]: key },
    token: { asOf: asOf as Micros, reads: [{ view: name, epoch: 0, lastOffset }] },
    features: view.fold.features.map((feature) => `${name}:${feature.name}`),
    values: [...read.values],
    statuses: [...read.statuses],
  };
}

/** The state that holds an entity's events up to an offset. */
export function foldUpTo(fold: ViewFold, events: readonly FoldEvent[], key: EntityKey, lastOffset: number): ViewState {
  const state = fold.empty();
  for (const event of events) if (event.offset <= lastOffset && fold.keyOf(event.row) === key) fold.fold(state, event);
  return state;
}

export async function storeOf(space: string, states: ReadonlyMap<EntityKey, Uint8Array>): Promise<MemoryOnlineStore> {
  const store = new MemoryOnlineStore();
  await store.commit(
    [...states].map(([key, bytes]) => ({ space, key, epoch: 0, offset: 0, bytes })),
    [],
  );
  return store;
}
