/**
 * Views as a server past the owner's machine serves them: from states that it fetches from an online store such as Redis, for
 * each request, or until the store tells of a change.
 *
 * Places (`heard-places.ts`) are heard of before the states that are read by them. Each state brings the offset of its
 * last event with it, and its space its epoch, so a token names exactly what was read, whatever is written meanwhile. A
 * space that was switched away from stays for two minutes, and a server that has not heard of places for longer than half
 * of one refuses to read. A single server that was reconnected to is asked before anything is read: it may have been started again empty.
 *
 * All states of a request, and of the others that came in the same turn, are fetched in one round trip
 * (`state-fetch.ts`); then each vector is read in one turn, as everywhere. Decoded states are kept beside the bytes they
 * came from, and taken again where the bytes are the same.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { RemoteOnlineStore } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { FetchedStates, ServedView, StateAsk, StateChanges, StateSnapshot } from "../../serve/ports.ts";
import type { CatalogView } from "../view-catalog.ts";
import { StaleViews } from "../monitoring/stale-views.ts";
import { DecodedStates } from "../workers/decoded-states.ts";
import { HeardPlaces, type Place } from "./heard-places.ts";
import { StateFetch, tellFetched } from "./state-fetch.ts";

const DECODED_BYTES_MAX = 128 * 1024 * 1024;
const TRIES_MAX = 3;
/** In the place of a cell: nothing counts what is read by it. */
const UNCOUNTED = -1;

export class FetchedViews implements StateSnapshot {
  /** Views in whose place a fallback is served. */
  readonly stale: StaleViews = new StaleViews();
  readonly places: HeardPlaces;
  readonly #store: RemoteOnlineStore;
  readonly #decoded: DecodedStates;
  readonly #views = new WeakMap<CatalogView, ServedView>();
  readonly #compiled = new WeakMap<ServedView, CatalogView>();
  /** What those who ask in this turn may still join. */
  #next: StateFetch | null = null;
  #hearing: Promise<void> | null = null;
  /** Times that a view's states were found elsewhere, or something was served in their place. */
  #moves = 0;
  readonly #changes: StateChanges | null;
  /** Of the vector that is read in this turn. */
  #fetched: StateFetch | null = null;

  constructor(store: RemoteOnlineStore, clock: Clock = systemClock, decodedBytesMax: number = DECODED_BYTES_MAX) {
    this.#store = store;
    this.places = new HeardPlaces(store, clock, () => this.moved());
    const { changes } = store;
    this.#changes =
      changes === undefined
        ? null
        : {
            cellOf: (key) => (this.#fetched?.isCurrent(key) === true ? changes.cellOf(key) : UNCOUNTED),
            of: (cell) =>
              cell === UNCOUNTED || !this.#isSameSince(this.places.heardWay)
                ? Number.NaN
                : changes.of(cell) + this.#moves,
          };
    this.#decoded = new DecodedStates(decodedBytesMax, (stored) => store.stateIn(stored));
  }

  /** Throws `NOT_READY` where the view's states are not there yet, and `STORE_UNAVAILABLE` where that is not known. */
  view(compiled: CatalogView): ServedView {
    const view = this.#views.get(compiled) ?? this.#open(compiled);
    this.#views.set(compiled, view);
    this.places.require(compiled);
    return view;
  }

  isStored(compiled: CatalogView): boolean {
    return this.places.of(compiled) !== null;
  }

  /** Whether it is stored so far as to be served later. */
  isBuilding(compiled: CatalogView): boolean {
    return this.places.of(compiled)?.isBuilding === true;
  }

  /** The states that vectors read, each once. Throws as `view`, and as the store does. */
  async fetch(asks: readonly StateAsk[]): Promise<FetchedStates> {
    // What reads no state waits for none.
    if (asks.length === 0) return new StateFetch(this.#store, this.places);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (!this.#isSameSince(this.places.heardWay)) await this.#hearAgain(asks.length);
      const here = this.#here(asks);
      if (here !== null) return here;
      const fetch = this.#join(asks);
      await fetch.done;
      // The states go with places of that time, whatever was heard meanwhile.
      if (this.#isSameSince(fetch.heardWay)) return fetch;
    }
    throw new OnefoldError("STORE_UNAVAILABLE", "connections to the online store are lost again and again", {
      hint: "see whether it runs; it is asked again all the time",
    });
  }

  /** Those that are known without a round trip; null where one of them is not. Throws as `view`. */
  fetchHere(asks: readonly StateAsk[]): FetchedStates | null {
    return this.#isSameSince(this.places.heardWay) ? this.#here(asks) : null;
  }

  /** What is served of a view is another now, though its states have not changed: answers that were kept are none. */
  moved(): void {
    this.#moves++;
  }

  renewKept(): void {
    this.#fetched = null;
  }

  renew(fetched?: FetchedStates): void {
    if (!(fetched instanceof StateFetch))
      throw new OnefoldError("INTERNAL", "a vector is read whose states were not fetched");
    this.#fetched = fetched;
  }

  /** In a cluster a node that is away is no reason to refuse what the others have. */
  #isSameSince(way: number | undefined): boolean {
    return (this.#store.servers ?? null) !== null || this.#store.way === way;
  }

  /** Null where a state must be asked for. */
  #here(asks: readonly StateAsk[]): StateFetch | null {
    if (this.#store.readHere === undefined) return null;
    const fetch = new StateFetch(this.#store, this.places);
    for (const { view, key } of asks) {
      const compiled = this.#compiled.get(view)!;
      fetch.add(compiled, this.places.require(compiled), key);
    }
    return fetch.isHere() ? fetch : null;
  }

  #join(asks: readonly StateAsk[]): StateFetch {
    const asked = asks.map(({ view, key }) => ({ view: this.#compiled.get(view)!, key }));
    const places = asked.map(({ view }) => this.places.require(view));
    if (this.#next === null || !this.#next.mayTake(asks.length, this.places)) {
      const fetch = new StateFetch(this.#store, this.places);
      this.#next = fetch;
      // Behind the reads of this turn: whoever asks in it is in the same round trip.
      setImmediate(() => {
        if (this.#next === fetch) this.#next = null;
        fetch.begin();
      });
    }
    this.#next.join();
    for (const [i, { view, key }] of asked.entries()) this.#next.add(view, places[i]!, key);
    return this.#next;
  }

  /** Before so many states are fetched: once for all that wait. */
  async #hearAgain(states: number): Promise<void> {
    const beganMs = performance.now();
    try {
      await (this.#hearing ??= this.places.hear().finally(() => (this.#hearing = null)));
    } catch (error) {
      tellFetched(states, 1, beganMs, error);
      throw error;
    }
  }

  #open(compiled: CatalogView): ServedView {
    const { definition, entity, source, fold, name } = compiled;
    const decoded = this.#decoded;
    const { places } = this;
    const isKept = (): boolean => this.#fetched === null;
    const place = (): Place => {
      const known = this.#fetched?.placeOf(compiled);
      if (known === undefined) throw new OnefoldError("INTERNAL", `no state of view ${name} was fetched`);
      return known;
    };
    const view: ServedView = {
      definition,
      entity,
      source,
      fold,
      fallback: this.stale.of(name),
      get epoch() {
        return place().epoch;
      },
      get snapshotTime() {
        return (isKept() ? places.of(compiled) : place())?.snapshotTime ?? null;
      },
      ...(this.#changes === null ? {} : { changes: this.#changes }),
      state: (key: EntityKey) => {
        const stored = this.#fetched?.stateOf(compiled, key);
        if (stored === undefined) throw new OnefoldError("INTERNAL", `a state of view ${name} was not fetched`);
        return stored === null ? null : decoded.decode(`${place().space}\0${key}`, fold, stored);
      },
    };
    this.#compiled.set(view, compiled);
    return view;
  }
}
