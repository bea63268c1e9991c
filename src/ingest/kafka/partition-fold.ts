/**
 * One partition of a folded topic, in the hands of the worker that owns it: its position, its entities' states in
 * memory, and what becomes of each record. Pure but for what it is handed: whoever drives it fetches, loads and writes.
 *
 *     records ─▶ admit (copies dropped, checked) ─▶ load what is missing ─▶ fold ─▶ writes: states, ids, letters, position
 *
 * `record-admission.ts` says of each record what it may become.
 *
 * All that is decided follows from the records before and the position, never from the machine's clock or from what
 * another worker has written: so two workers that fold the same partition at one time come to the same states, and
 * whichever writes is right.
 *
 * The known time of an event is the largest of its own stamp and those of the events taken before it in the
 * partition. Routers with clocks that differ may stamp out of order; the running maximum is in the position, so that
 * it is the same wherever a fold goes on. Dropped records do not count.
 *
 * A retraction is folded with what whoever drives it found out: which entities lose an event by it, and their states anew
 * (`refolding.ts`). Such a state is a function of the records before it like any other, and lands by the same rule: where
 * what is there is older.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import type { RefusedWrite, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { FoldSight } from "../fold-sight.ts";
import type { KafkaRecord } from "./records.ts";
import type { RefusedRecord } from "./dead-letter-topic.ts";
import type {
  FoldedEvent,
  FoldedPartition,
  PartitionPlace,
  PartitionWrites,
  RefoldedViews,
} from "./folded-partition.ts";
import { TakenOrigins } from "./origin.ts";
import { type FoldPosition, refuseOtherTopic } from "./position.ts";
import { type Candidate, RecordAdmission } from "./record-admission.ts";
import { NOTHING_REFOLDED, RefoldedEntries, type StateEntry } from "./refolded-entries.ts";
import type { RouteParts } from "./route-parts.ts";
import type { RoutedView } from "./routes.ts";
import { TakenIds } from "./taken-ids.ts";
import { KAFKA_EPOCH, spaceOf } from "./view-places.ts";

export interface PartitionFoldOptions extends RouteParts, PartitionPlace {
  /** Folds what another has told of already. */
  readonly isLate?: boolean;
  /** Is shown a part of what is folded. */
  readonly sight?: FoldSight;
}

/** So long the place of a forgotten entity's state is kept from who was away meanwhile and still has the state. */
export const GONE_KEPT_MS: number = 10 * 60_000;
const NO_STATE: Uint8Array = new Uint8Array(0);

export class PartitionFold implements FoldedPartition {
  readonly options: PartitionFoldOptions;
  readonly isLate: boolean;
  readonly #origins: TakenOrigins;
  readonly #admission: RecordAdmission;
  readonly #ids: TakenIds;
  readonly #viewOffsets: Map<string, number>;
  readonly #states = new Map<RoutedView, Map<EntityKey, StateEntry>>();
  #dirty: StateEntry[] = [];
  #passed: EntityKey[] = [];
  #candidates: Candidate[] = [];
  #offset: number;
  #knownTime: number;
  storedOffset: number;
  duplicates = 0;

  constructor(options: PartitionFoldOptions) {
    const { route, position, topicId, startOffset } = options;
    this.options = options;
    this.isLate = options.isLate ?? false;
    refuseOtherTopic(position, { topic: route.topic, topicId, held: "states" });
    for (const view of route.views) this.#states.set(view, new Map());
    const known = position?.views ?? {};
    this.#viewOffsets = new Map(route.views.map(({ foldName }) => [foldName, known[foldName] ?? startOffset]));
    const everyViewIsKnown = route.views.every(({ foldName }) => known[foldName] !== undefined);
    // A view that was not folded before begins at the beginning; the others skip what they have.
    const from = everyViewIsKnown ? position : null;
    this.#offset = from?.offset ?? startOffset;
    this.storedOffset = position?.offset ?? startOffset;
    this.#knownTime = from?.knownTime ?? Number.NEGATIVE_INFINITY;
    this.#origins = new TakenOrigins(from?.origins);
    this.#admission = new RecordAdmission({ ...options, isLate: this.isLate, origins: this.#origins });
    this.#ids = new TakenIds(route.topic, route.source.dedupeWithinMicros);
  }

  get offset(): number {
    return this.#offset;
  }

  get copies(): number {
    return this.#admission.copies;
  }

  set copies(count: number) {
    this.#admission.copies = count;
  }

  get takesCorrections(): boolean {
    return !this.options.route.isDirect;
  }

  get admitted(): readonly FoldedEvent[] {
    let knownTime = this.#knownTime;
    return this.#candidates.map(({ checked, stamp, forgets, record: { offset } }) => {
      knownTime = Math.max(knownTime, stamp);
      return { ...checked, offset, knownTime: knownTime as Micros, ...(forgets === undefined ? {} : { forgets }) };
    });
  }

  get stateCount(): number {
    let count = 0;
    for (const states of this.#states.values()) count += states.size;
    return count;
  }

  admit(records: readonly KafkaRecord[], nextOffset: number): StateRead[] {
    const wanted = new Map<string, StateRead>();
    for (const record of records) {
      const candidate = this.#admission.admit(record);
      if (candidate === null) continue;
      this.#candidates.push(candidate);
      const { key, idKey } = candidate;
      if (idKey !== null) wanted.set(`id ${idKey}`, this.#ids.readOf(idKey));
      if (key === null) continue;
      for (const [view, states] of this.#states) {
        if (!states.has(key)) wanted.set(`${view.foldName} ${key}`, { space: spaceOf(view), key });
      }
    }
    this.#offset = nextOffset;
    return [...wanted.values()];
  }

  load({ space, key }: StateRead, stored: StoredState | null): void {
    const view = this.options.route.views.find((each) => spaceOf(each) === space);
    if (view === undefined) {
      this.#ids.load(key, stored);
      return;
    }
    const state = stored === null ? view.fold.empty() : view.fold.decode(stored.bytes);
    this.#states.get(view)!.set(key, { view, key, state, isDirty: false });
  }

  fold(refolded: RefoldedViews = NOTHING_REFOLDED): FoldedEvent[] {
    const events: FoldedEvent[] = [];
    const { sight } = this.options;
    const anew = new RefoldedEntries(refolded, [...this.#states.keys()]);
    for (const { record, checked, key, idKey, corrects, stamp, place, forgets } of this.#candidates) {
      const { offset } = record;
      const knownTime = Math.max(this.#knownTime, stamp) as Micros;
      // What takes an event's place has its id; that stays known from when the first one was.
      if (idKey !== null && this.#ids.isDuplicate(idKey, offset, knownTime) && !corrects) {
        this.duplicates++;
        continue;
      }
      this.#knownTime = knownTime;
      const event: FoldedEvent = { ...checked, offset, knownTime };
      if (forgets === undefined) events.push(event);
      else sight?.forget?.();
      if (key === null) {
        for (const view of this.#states.keys()) anew.takeBack(view, event);
        continue;
      }
      for (const [view, states] of this.#states) {
        if (anew.isTakenBack(view, offset)) continue;
        const refoldedEntry = anew.get(view, key);
        if (refoldedEntry === undefined && offset < this.#viewOffsets.get(view.foldName)!) continue;
        const entry = refoldedEntry ?? states.get(key)!;
        const outcome = view.fold.fold(entry.state, event);
        if (outcome.kind === "poison") {
          this.#admission.refuse(record, place, new OnefoldError("EVENT_POISON", outcome.message), view.name);
        } else if (outcome.kind !== "folded") this.#passed.push(key);
        else if (!entry.isDirty) {
          entry.isDirty = true;
          this.#dirty.push(entry);
        }
      }
      if (sight !== undefined && --sight.left <= 0) this.#show(sight, key);
    }
    this.#candidates = [];
    this.#adopt(anew);
    return events;
  }

  /** Where the state at hand is older. One that is not at hand, and is newer, refuses to be written over. */
  #adopt(anew: RefoldedEntries): void {
    for (const entry of anew) {
      const { view, key, state } = entry;
      const states = this.#states.get(view)!;
      if ((states.get(key)?.state.lastOffset ?? Number.NEGATIVE_INFINITY) >= state.lastOffset) this.#passed.push(key);
      else {
        states.set(key, entry);
        this.#dirty.push(entry);
      }
    }
  }

  #show(sight: FoldSight, key: EntityKey): void {
    for (const [view, states] of this.#states) {
      const entry = states.get(key);
      if (entry !== undefined) sight.see(view, entry.state);
    }
    sight.pass();
  }

  takeRefused(): RefusedRecord[] {
    return this.#admission.takeRefused();
  }

  takeWrites(): PartitionWrites {
    const states = this.#dirty.map((entry): StateWrite => {
      const { view, key, state } = entry;
      entry.isDirty = false;
      const write = { space: spaceOf(view), key, epoch: KAFKA_EPOCH, offset: state.lastOffset };
      if (entry.goneAt !== state.lastOffset) return { ...write, bytes: view.fold.encode(state) };
      this.#states.get(view)!.delete(key);
      return { ...write, bytes: NO_STATE, keptMs: GONE_KEPT_MS };
    });
    const passed = this.#passed;
    this.#dirty = [];
    this.#passed = [];
    return { states, ids: this.#ids.takeWrites(), passed };
  }

  committed(writes: PartitionWrites, refused: readonly RefusedWrite[]): void {
    for (const { index, stored } of refused) {
      const write = writes.states[index];
      // Another worker is ahead: its state is read when it is needed, and skips what it has.
      if (write !== undefined && stored.offset > write.offset) this.#forget(write);
    }
    this.#ids.committed(writes, refused, this.#offset);
    for (const [name, offset] of this.#viewOffsets) this.#viewOffsets.set(name, Math.max(offset, this.#offset));
  }

  /** Those read longest ago first. */
  letGo(countMax: number): void {
    for (const states of this.#states.values()) {
      const excess = states.size - Math.floor(countMax / this.#states.size);
      if (excess <= 0) continue;
      let left = excess;
      for (const key of states.keys()) {
        if (left-- <= 0) break;
        states.delete(key);
      }
    }
  }

  #forget({ space, key }: StateWrite): void {
    for (const [view, states] of this.#states) if (spaceOf(view) === space) states.delete(key);
  }

  get position(): FoldPosition {
    return {
      topicId: this.options.topicId,
      offset: this.#offset,
      knownTime: Number.isFinite(this.#knownTime) ? this.#knownTime : null,
      origins: this.#origins.toJSON(),
      views: Object.fromEntries(
        Array.from(this.#viewOffsets, ([name, offset]) => [name, Math.max(offset, this.#offset)]),
      ),
    };
  }
}
