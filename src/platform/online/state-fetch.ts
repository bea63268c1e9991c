/**
 * States that are fetched in one round trip: those that the vectors of a turn read, each once, with the places that they are
 * read by.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import { asOnefoldError } from "../../base/errors.ts";
import type { RemoteOnlineStore, StateRead } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { CatalogView } from "../view-catalog.ts";
import type { HeardPlaces, Place } from "./heard-places.ts";

/** Past this, what else is asked for in the turn is fetched apart: a vector does not wait for a large batch. */
const STATES_MAX = 500;

interface FetchedView {
  readonly place: Place;
  /** By the entity's key, where among all states its state is. */
  readonly indexes: Map<EntityKey, number>;
}

export class StateFetch {
  /** The hearing that its places are of, and which way the store was read then. */
  readonly #hearing: number;
  readonly heardWay: number | undefined;
  /** Rejects as the store does. */
  readonly done: Promise<void>;
  readonly #store: RemoteOnlineStore;
  readonly #places: Pick<HeardPlaces, "hearing">;
  readonly #views = new Map<CatalogView, FetchedView>();
  readonly #reads: StateRead[] = [];
  #states: readonly (Uint8Array | null)[] = [];
  /** That wait for it. */
  #requests = 0;
  /** Of all changes that were told when it was begun, and of those of each entity. */
  #told = Number.NaN;
  readonly #counts = new Map<EntityKey, number>();
  #settle!: (states: Promise<void>) => void;

  constructor(store: RemoteOnlineStore, places: Pick<HeardPlaces, "hearing" | "heardWay">) {
    this.#store = store;
    this.#places = places;
    this.#hearing = places.hearing;
    this.heardWay = places.heardWay;
    this.done = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Whether a request may join that reads so many states, by places of that hearing. */
  mayTake(states: number, { hearing }: Pick<HeardPlaces, "hearing">): boolean {
    return hearing === this.#hearing && this.#reads.length + states <= STATES_MAX;
  }

  /** A request waits for it, too. */
  join(): void {
    this.#requests++;
  }

  add(view: CatalogView, place: Place, key: EntityKey): void {
    let known = this.#views.get(view);
    if (known === undefined) this.#views.set(view, (known = { place, indexes: new Map() }));
    if (known.indexes.has(key)) return;
    known.indexes.set(key, this.#reads.push({ space: known.place.space, key }) - 1);
  }

  /** Whether what it asks for is known without a round trip; then it is done. */
  isHere(): boolean {
    this.#told = this.#store.changes?.told ?? Number.NaN;
    const states = this.#store.readHere?.(this.#reads) ?? null;
    if (states !== null) this.#states = states;
    return states !== null;
  }

  /** Whether what it has of the entity is what there is: no change of it was told since it was begun, and no place was heard. */
  isCurrent(key: EntityKey): boolean {
    const { changes } = this.#store;
    if (changes === undefined || this.#places.hearing !== this.#hearing) return false;
    return changes.told === this.#told || changes.of(changes.cellOf(key)) === this.#counts.get(key);
  }

  begin(): void {
    const { changes } = this.#store;
    if (changes !== undefined) {
      this.#told = changes.told;
      for (const { key } of this.#reads) this.#counts.set(key, changes.of(changes.cellOf(key)));
    }
    this.#settle(this.#read());
  }

  placeOf(view: CatalogView): Place | undefined {
    return this.#views.get(view)?.place;
  }

  /** As the store holds it, null where there is none; undefined where it was not asked for. */
  stateOf(view: CatalogView, key: EntityKey): Uint8Array | null | undefined {
    const index = this.#views.get(view)?.indexes.get(key);
    return index === undefined ? undefined : this.#states[index];
  }

  async #read(): Promise<void> {
    const beganMs = performance.now();
    try {
      this.#states = await this.#store.readStored(this.#reads);
      tellFetched(this.#reads.length, this.#requests, beganMs);
    } catch (error) {
      tellFetched(this.#reads.length, this.#requests, beganMs, error);
      throw error;
    }
  }
}

/** So many states were asked for, by so many requests, from then on; without an error they are here. */
export function tellFetched(states: number, requests: number, beganMs: number, error: unknown = null): void {
  if (!diagnostics.fetched.hasSubscribers) return;
  const code = error === null ? null : asOnefoldError(error).code;
  diagnostics.fetched.publish({ states, requests, durationMs: performance.now() - beganMs, code });
}
