/**
 * Copies what the owner of a data folder folds to an online store that others serve from, such as Redis.
 *
 *     commit to LMDB ──▶ queue ──▶ states, then places, to the other store
 *                          │ too long, or a connection was lost
 *                          └─▶ catching up: the view's states in LMDB from the place that the other store has
 *
 * LMDB goes first and never waits for the copy. Whatever is copied is copied conditionally, so order and repetition do
 * no harm; what must be right is the place of a view, `view/<view@version>`, since servers take its word for what the
 * states hold. It is written after the states that it stands for, and it names another space only once all states of
 * that are there.
 *
 * A server that comes back may have less than it had answered for. What one server has is what it had at some moment,
 * place and states alike, so catching up begins at the place it has now. The nodes of a cluster have each a moment of
 * their own: there, all states are gone over again.
 */
import type { Clock } from "../../base/clock.ts";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import { readStoredView, type StoredView, viewMetaName } from "../../ingest/stored-view.ts";
import type {
  LocalOnlineStore,
  MetaWrite,
  OnlineStore,
  StateSpace,
  StateWrite,
} from "../../online-store/online-store.ts";
import type { PublishGauges } from "../../monitor/metrics/remote-store-metrics.ts";
import { builtMetaName } from "../view-builder.ts";
import { dropNote, notedDrops, withoutNote } from "./drop-notes.ts";
import { PublishTally } from "./publish-tally.ts";
import {
  DRAFT_GRACE_MILLIS,
  DROP_GRACE_MILLIS,
  PUBLISH_BEAT_MILLIS,
  type Published,
  PUBLISHED_META,
  publishedBytes,
} from "./published.ts";

/** A store that is reached over connections. */
export interface PublishTarget extends OnlineStore {
  readonly isCluster: boolean;
  readonly connectionsLost: number;
}

export interface PublisherOptions {
  readonly local: LocalOnlineStore;
  /** Closed with the publisher. */
  readonly target: PublishTarget;
  readonly clock: Clock;
  /** How long a view's state is kept from its last write; undefined for ever. */
  keptMs(view: string): number | undefined;
  /** Views that were retired, `view@version`: what was published of them is removed. */
  retired?(): readonly string[];
  /** Told of the first of each run of failures. */
  onError(error: unknown): void;
  /** What may wait to be copied. Default 64 MB. */
  readonly queueBytesMax?: number;
  /** From which waiting doubles while it fails. Default 50. */
  readonly retryMillisMin?: number;
  /** How long a space stays that servers may still read from. Default two minutes. */
  readonly dropGraceMillis?: number;
  /** How long a draft's old states stay once servers can hear that they are not served any more. Default 500. */
  readonly draftGraceMillis?: number;
}

interface Batch {
  readonly states: readonly StateWrite[];
  readonly metas: readonly MetaWrite[];
  readonly bytes: number;
}

const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
const STATES_PER_COMMIT = 2000;
const RETRY_MILLIS_MIN = 50;
const RETRY_MILLIS_MAX = 2000;
const CLOSE_MILLIS_MAX = 5000;
const VIEW_PREFIX = viewMetaName("");
const BUILT_PREFIX = builtMetaName("");

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #target: PublishTarget;
  #queue: Batch[] = [];
  #queueBytes = 0;
  /** What comes now is found by catching up. */
  #hasOverflowed = false;
  /** Views to catch up, and whether over all their states or from the place that the target has. */
  readonly #behind = new Map<string, "all" | "from place">();
  /** The space that the target's place of a view names. */
  readonly #served = new Map<string, StateSpace>();
  readonly #drops = new Map<StateSpace, number>();
  /** Retired views that the target has no place of. */
  readonly #retired = new Set<string>();
  #lostSeen: number;
  #house: () => Omit<Published, "at"> = () => ({ flushed: [] });
  #wake: () => void = () => {};
  readonly #tally = new PublishTally();
  #isClosing = false;
  #isIdle = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#target = options.target;
    this.#lostSeen = options.target.connectionsLost;
  }

  /** Begins with catching up. `house`: what is so at the moment. */
  start(house: () => Omit<Published, "at">): void {
    this.#house = house;
    for (const space of notedDrops(this.#options.local)) this.dropped(space);
    this.#allBehind();
    this.#running = this.#run();
  }

  /** What a commit has made durable on this machine. */
  committed(states: readonly StateWrite[], metas: readonly MetaWrite[]): void {
    const wanted = metas.filter(({ name }) => name.startsWith(VIEW_PREFIX) || name.startsWith(BUILT_PREFIX));
    if (this.#hasOverflowed || (states.length === 0 && wanted.length === 0)) return;
    const bytes = states.reduce((sum, state) => sum + state.bytes.length, 0);
    const { queueBytesMax = QUEUE_BYTES_MAX } = this.#options;
    if (this.#queueBytes + bytes > queueBytesMax) {
      this.#queue = [];
      this.#queueBytes = 0;
      this.#hasOverflowed = true;
    } else {
      this.#queue.push({ states, metas: wanted, bytes });
      this.#queueBytes += bytes;
    }
    this.#wake();
  }

  /** A space that is gone on this machine. Others may still read from it. */
  dropped(space: StateSpace): void {
    this.#drops.set(space, performance.now() + (this.#options.dropGraceMillis ?? DROP_GRACE_MILLIS));
  }

  /** Whether the target has all that was committed. */
  get isCaughtUp(): boolean {
    return this.#isIdle && this.#queue.length === 0 && this.#behind.size === 0 && !this.#hasOverflowed;
  }

  gauges(): PublishGauges {
    return this.#tally.gauges(this.#options.local, this.isCaughtUp, this.#queueBytes, this.#target.connectionsLost);
  }

  /** Copies what is left, for as long as that goes on without a failure and not for long. */
  async close(): Promise<void> {
    const giveUpAt = performance.now() + CLOSE_MILLIS_MAX;
    while (!this.isCaughtUp && !this.#tally.isFailing && performance.now() < giveUpAt) await sleep(10);
    this.#isClosing = true;
    this.#wake();
    await this.#target.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { retryMillisMin = RETRY_MILLIS_MIN } = this.#options;
    let retryMs = retryMillisMin;
    while (!this.#isClosing) {
      try {
        await this.#step();
        this.#tally.isFailing = false;
        retryMs = retryMillisMin;
      } catch (error) {
        if (this.#isClosing) return;
        if (!this.#tally.isFailing) this.#options.onError(error);
        this.#tally.failed(asOnefoldError(error).code);
        await this.#sleepUnlessWoken(retryMs, false);
        retryMs = Math.min(RETRY_MILLIS_MAX, retryMs * 2);
      }
    }
  }

  async #step(): Promise<void> {
    if (this.#target.connectionsLost !== this.#lostSeen) {
      this.#lostSeen = this.#target.connectionsLost;
      this.#allBehind();
    }
    if (this.#hasOverflowed) {
      this.#hasOverflowed = false;
      this.#allBehind("from place");
    }
    const [behind] = this.#behind;
    if (behind !== undefined) return this.#catchUp(...behind);
    const batch = this.#queue.shift();
    if (batch !== undefined) return this.#copy(batch);
    await this.#leaveRetired();
    await this.#dropDue();
    const beganMs = performance.now();
    const published: Published = { at: this.#options.clock.now(), ...this.#house() };
    await this.#target.commit([], [{ name: PUBLISHED_META, bytes: publishedBytes(published) }]);
    if (this.#queue.length === 0) this.#tally.whole(beganMs);
    await this.#sleepUnlessWoken(PUBLISH_BEAT_MILLIS, true);
  }

  #allBehind(how: "all" | "from place" = this.#target.isCluster ? "all" : "from place"): void {
    const views = new Set(this.#served.keys());
    for (const { name } of this.#options.local.scanMeta(VIEW_PREFIX)) views.add(name.slice(VIEW_PREFIX.length));
    for (const view of views) if (this.#behind.get(view) !== "all") this.#behind.set(view, how);
  }

  async #copy(batch: Batch): Promise<void> {
    this.#queueBytes -= batch.bytes;
    try {
      const metas = batch.metas.filter((meta) => this.#isOfServedSpace(meta));
      const spaces = new Set(this.#served.values());
      await this.#copyTo(this.#kept(batch.states.filter(({ space }) => spaces.has(space))), metas);
      for (const { name, bytes } of metas) {
        if (bytes === null && name.startsWith(VIEW_PREFIX)) this.#served.delete(name.slice(VIEW_PREFIX.length));
      }
    } catch (error) {
      if (!this.#hasOverflowed) {
        this.#queue.unshift(batch);
        this.#queueBytes += batch.bytes;
      }
      throw error;
    }
  }

  /** A place in another space stands for states that were not copied as they were written. */
  #isOfServedSpace({ name, bytes }: MetaWrite): boolean {
    if (!name.startsWith(VIEW_PREFIX)) return this.#served.has(name.slice(BUILT_PREFIX.length));
    const view = name.slice(VIEW_PREFIX.length);
    if (bytes === null || placeIn(bytes).space === this.#served.get(view)) return true;
    if (!this.#behind.has(view)) this.#behind.set(view, "from place");
    return false;
  }

  async #catchUp(view: string, how: "all" | "from place"): Promise<void> {
    const { local } = this.#options;
    this.#behind.delete(view);
    try {
      const lost = this.#target.connectionsLost;
      const place = this.#wholeView(view);
      const [placeMeta, builtMeta] = [viewMetaName(view), builtMetaName(view)];
      const ours: MetaWrite[] = [placeMeta, builtMeta].map((name) => ({
        name,
        bytes: place === null ? null : local.getMeta(name),
      }));
      const [theirPlace = null, theirBuilt = null] = (await this.#target.read([], [placeMeta, builtMeta])).metas;
      if (place === null) {
        await this.#copyTo([], ours);
        this.#served.delete(view);
        return;
      }
      const theirs = theirPlace === null ? null : placeIn(theirPlace);
      const hasOtherHistory = !isSame(theirBuilt, ours[1]!.bytes);
      const isAhead = how === "from place" && theirs?.space === place.space && !hasOtherHistory;
      let from = isAhead ? theirs.position : Number.NEGATIVE_INFINITY;
      // States under a draft's name are of whatever the draft was, and a rebuilt space begins anew.
      if ((hasOtherHistory && view.endsWith("@dev")) || this.#drops.has(place.space)) {
        if (theirs?.space === place.space) {
          await this.#target.commit(
            [],
            [placeMeta, builtMeta].map((name) => ({ name, bytes: null })),
          );
          await sleep(this.#options.draftGraceMillis ?? DRAFT_GRACE_MILLIS);
        }
        await this.#dropNow(place.space);
        from = Number.NEGATIVE_INFINITY;
      }
      await this.#copyStates(place, from);
      const isSwitched = readStoredView(local, view)?.space !== place.space;
      if (isSwitched || this.#target.connectionsLost !== lost) {
        this.#behind.set(view, how);
        return;
      }
      await this.#copyTo([], ours);
      this.#served.set(view, place.space);
    } catch (error) {
      this.#behind.set(view, how);
      throw error;
    }
  }

  /** Null where there is none, and for one that this process does not run and whose states are not whole by themselves. */
  #wholeView(view: string): StoredView | null {
    const place = readStoredView(this.#options.local, view);
    return place?.tails === undefined ? place : null;
  }

  async #copyTo(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> {
    const refused = await this.#target.commit(states, metas);
    this.#tally.states += states.length - refused.length;
    this.#tally.placed(metas);
  }

  /** The states of a space with events at or behind `from`. */
  async #copyStates({ space }: StoredView, from: number): Promise<void> {
    const { local } = this.#options;
    let after: string | undefined;
    for (;;) {
      const writes: StateWrite[] = [];
      let visited = 0;
      for (const { key, ...state } of local.scan(space, after)) {
        after = key;
        if (state.offset >= from) writes.push({ space, key, ...state });
        if (++visited >= STATES_PER_COMMIT) break;
      }
      if (writes.length > 0) await this.#copyTo(this.#kept(writes), []);
      else await sleep(0);
      if (visited < STATES_PER_COMMIT) return;
      if (this.#isClosing) throw new OnefoldError("CANCELLED", "publishing was stopped");
    }
  }

  /** With how long each is kept, which is the same for all of a view. */
  #kept(states: readonly StateWrite[]): readonly StateWrite[] {
    const ofSpaces = new Map<StateSpace, number | undefined>();
    return states.map((state) => {
      const { space } = state;
      if (!ofSpaces.has(space)) {
        ofSpaces.set(space, this.#options.keptMs(space.slice(0, space.lastIndexOf("#"))));
      }
      const keptMs = ofSpaces.get(space);
      return keptMs === undefined ? state : { ...state, keptMs };
    });
  }

  async #dropDue(): Promise<void> {
    const present = new Set(this.#served.values());
    for (const [space, dueMs] of this.#drops) {
      if (performance.now() < dueMs || present.has(space)) continue;
      await this.#dropNow(space);
    }
  }

  async #dropNow(space: StateSpace): Promise<void> {
    await this.#target.dropSpace(space);
    this.#drops.delete(space);
    await this.#options.local.commitAlone([], [withoutNote(space)]);
  }

  /** What an owner published that did not hear of the retirement, as it published nothing then. */
  async #leaveRetired(): Promise<void> {
    const { retired = () => [], local } = this.#options;
    for (const view of retired()) {
      if (this.#retired.has(view) || readStoredView(local, view) !== null) continue;
      const names = [viewMetaName(view), builtMetaName(view)];
      const [place = null] = (await this.#target.read([], names)).metas;
      const space = place === null ? null : placeIn(place).space;
      // Workers fold their views themselves, and may still.
      if (space !== null && /#\d+$/.test(space)) {
        await local.commitAlone([], [dropNote(space)]);
        await this.#target.commit(
          [],
          names.map((name) => ({ name, bytes: null })),
        );
        this.dropped(space);
      }
      this.#retired.add(view);
    }
  }

  #sleepUnlessWoken(millis: number, isIdle: boolean): Promise<void> {
    if (isIdle && this.#queue.length > 0) return Promise.resolve();
    this.#isIdle = isIdle;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#isIdle = false;
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, millis);
      // While it fails, what comes meanwhile does not make it try sooner.
      this.#wake = isIdle || this.#isClosing ? done : () => this.#isClosing && done();
    });
  }
}

function placeIn(bytes: Uint8Array): StoredView {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as StoredView;
}

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function sleep(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
