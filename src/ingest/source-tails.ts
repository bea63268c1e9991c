/**
 * All tails of one source: a group for each key that its running views have. And what else such views share.
 */
import type { ViewDefinition } from "../define/definition.ts";
import type { CommitPart } from "../online-store/online-store.ts";
import { ChangeCounts } from "../online-store/change-counts.ts";
import { EntitySlots } from "./entity-slots.ts";
import { TailReader, TailWriter } from "./event-tail.ts";
import type { LogEvent } from "./event.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import { TAIL_LIMITS, TailGroup, tailSpace, tailSpacesOf } from "./tail-group.ts";
import { storedViews } from "./stored-view.ts";
import type { ViewRunner, ViewRunnerOptions } from "./view-runner.ts";

/** Of a group's tails kept in memory. */
const BYTES_MAX = 64 * 1024 * 1024;

/**
 * With `wholeStates` no event is written into a tail, and what was is read until `writeOut` has written the states. Tails
 * are kept in memory as one more view's states would be.
 */
export type SourceTailsOptions = Pick<
  SourcePipelineOptions,
  "source" | "store" | "wholeStates" | "tailLimits" | "hotBytesMax" | "hotHeapBytesMax"
>;

type Shared = Required<Pick<ViewRunnerOptions, "tailReader" | "slots" | "changes">>;

export class SourceTails {
  readonly #options: SourceTailsOptions;
  /** For runners: of views that are not in a group yet, too. */
  readonly reader: TailReader;
  readonly #writer: TailWriter;
  readonly #groups = new Map<string, TailGroup>();
  readonly #shared = new Map<string, Shared>();

  constructor(options: SourceTailsOptions) {
    this.#options = options;
    this.reader = new TailReader(options.store, options.source);
    this.#writer = new TailWriter(options.source);
  }

  /** Drops what views that were forgotten have left. Nothing may be folded yet. */
  async dropLeft(): Promise<void> {
    const { source, store } = this.#options;
    const needed = new Set(storedViews(store).map(({ place }) => place.tails?.space));
    for (const { name: space } of Array.from(store.scanMeta(tailSpacesOf(source.name)))) {
      if (needed.has(space)) continue;
      await store.dropSpace(space);
      await store.commitAlone([], [{ name: space, bytes: null }]);
    }
  }

  /** What runners of views with that key share. */
  sharedBy({ entity, key }: ViewDefinition): Shared {
    const name = tailSpace(this.#options.source.name, entity, key);
    let shared = this.#shared.get(name);
    if (shared === undefined) {
      shared = { tailReader: this.reader, slots: new EntitySlots(), changes: new ChangeCounts() };
      this.#shared.set(name, shared);
    }
    return shared;
  }

  /** To be called for views that stand where the source does, and once all of one opening are told, `update`. */
  join(runner: ViewRunner): void {
    const { definition } = runner.view;
    // Code may be missing when it is next opened, and what such a view needs no other view could cut.
    if (definition.features.some(({ aggregation }) => aggregation.custom !== undefined)) return;
    const { source, store, wholeStates, tailLimits = TAIL_LIMITS, hotBytesMax = () => BYTES_MAX } = this.#options;
    // Half of what a tail takes is on the heap.
    const { hotHeapBytesMax = hotBytesMax } = this.#options;
    const space = tailSpace(source.name, definition.entity, definition.key);
    if (wholeStates === true && runner.tailPlace?.space !== space) return;
    let group = this.#groups.get(space);
    if (group === undefined) {
      const { reader } = this;
      group = new TailGroup({
        space,
        store,
        reader,
        writer: this.#writer,
        limits: tailLimits,
        bytesMax: hotHeapBytesMax,
      });
      this.#groups.set(space, group);
    }
    group.join(runner);
    runner.joinTails(group);
  }

  leave(runner: ViewRunner): void {
    for (const group of this.#groups.values()) group.leave(runner);
    this.update();
  }

  /** Sees which groups lack a view that has tails in the store. */
  update(): void {
    const stored = storedViews(this.#options.store);
    for (const group of this.#groups.values()) {
      const names = new Set(group.members.map(({ name }) => name));
      group.isInert =
        this.#options.wholeStates === true ||
        stored.some(({ view, place }) => place.tails?.space === group.space && !names.has(view));
    }
  }

  /** Takes `events[from..to)`, before the views fold them. */
  take(events: readonly LogEvent[], from: number, to: number): void {
    for (const group of this.#groups.values()) group.take(events, from, to);
  }

  /** As of `TailGroup`. */
  beginFlush(): void {
    if (this.#options.wholeStates !== true && [...this.#groups.values()].some(({ isInert }) => isInert)) this.update();
    for (const group of this.#groups.values()) group.beginFlush();
  }

  *takeWrites(): IterableIterator<CommitPart> {
    for (const group of this.#groups.values()) yield* group.takeWrites();
  }

  /** To be called once a commit is done, before anything else is. */
  committed(): void {
    this.reader.moment += 1;
  }

  endFlush(): void {
    for (const group of this.#groups.values()) group.endFlush();
  }

  /**
   * Writes out whole, by `flush` once so many wait, all states that have a tail, and drops the tails; no event may come
   * meanwhile. The views are in no group then.
   */
  async writeOut(runners: readonly ViewRunner[], statesMax: number, flush: () => Promise<void>): Promise<void> {
    await flush();
    for (const group of this.#groups.values()) {
      let waiting = 0;
      // Listed before any is written.
      const keys = Array.from(group.storedKeys());
      for (const key of keys) {
        for (const member of group.members) member.writeWhole(key);
        waiting += group.members.length;
        if (waiting < statesMax) continue;
        await flush();
        waiting = 0;
      }
      await flush();
      for (const runner of runners) if (group.members.includes(runner)) runner.leaveTails();
      await flush();
      // Views that are not run here still need them.
      const isNeeded = storedViews(this.#options.store).some(({ place }) => place.tails?.space === group.space);
      if (!isNeeded) await this.#options.store.dropSpace(group.space);
    }
    this.#groups.clear();
  }
}
