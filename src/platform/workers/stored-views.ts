/**
 * Views as a worker serves them: from the states that the owner has written to the online store.
 *
 * `renew` opens a new moment of the store. Within a moment, which is within a turn, everything is read from one
 * transaction: where a view's states are (the owner may switch them to another epoch's at any time), the states
 * themselves, and the position they stand at. So the states of a vector agree with each other and with its token.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { deriveForView, type ViewDerivation } from "../../fold/derive.ts";
import { type TailPlace, TailReader } from "../../ingest/event-tail.ts";
import { readStoredView, type StoredView } from "../../ingest/stored-view.ts";
import type { SharedOnlineStore } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { ServedView, StateSnapshot } from "../../serve/ports.ts";
import { StaleViews } from "../monitoring/stale-views.ts";
import { historyPlace } from "../view-builder.ts";
import type { CatalogView } from "../view-catalog.ts";
import { DecodedStates, type StateTail } from "./decoded-states.ts";
import type { HouseStatus } from "./messages.ts";

const DECODED_BYTES_MAX = 64 * 1024 * 1024;

interface FlushedPlace {
  readonly position: number;
  readonly at: Micros;
}

export class StoredViews implements StateSnapshot {
  readonly #store: SharedOnlineStore;
  readonly #decoded: DecodedStates;
  readonly #views = new WeakMap<CatalogView, ServedView>();
  readonly #tailReaders = new WeakMap<SourceDefinition, TailReader>();
  readonly #flushed = new Map<string, FlushedPlace>();
  readonly #stale = new StaleViews();
  #moment = 0;

  constructor(store: SharedOnlineStore, decodedBytesMax: number = DECODED_BYTES_MAX) {
    this.#store = store;
    this.#decoded = new DecodedStates(decodedBytesMax);
  }

  renew(): void {
    this.#store.refresh();
    this.#moment += 1;
  }

  /** An owner that folds nothing flushes nothing, but its states do not grow old by that. */
  told({ flushed, at, stale }: HouseStatus): void {
    this.#stale.replace(stale);
    for (const [view, position] of flushed) this.#flushed.set(view, { position, at });
  }

  /** Throws `NOT_READY` where the owner has not built the view yet. So does reading from it, should that change. */
  view(compiled: CatalogView): ServedView {
    const view = this.#views.get(compiled) ?? this.#open(compiled);
    this.#views.set(compiled, view);
    this.renew();
    if (this.#place(compiled) === null) throw beingBuilt(compiled);
    return view;
  }

  /** Whether its states are there to be read. */
  isStored(compiled: CatalogView): boolean {
    this.renew();
    return this.#place(compiled) !== null;
  }

  #open(compiled: CatalogView): ServedView {
    const { definition, entity, source, fold, name } = compiled;
    const store = this.#store;
    const decoded = this.#decoded;
    let derivation: ViewDerivation | null | undefined;
    const readTail = ({ space, from }: TailPlace, key: EntityKey, before: number): StateTail | null => {
      const reader = this.#tailReader(source);
      reader.moment = this.#moment;
      const tail = reader.read(space, key);
      if (tail === null) return null;
      derivation ??= deriveForView(definition, source);
      const tailed = { fold, derivation };
      return { bytes: tail.bytes, before, foldInto: (state) => reader.foldInto(tailed, state, tail, from, before) };
    };
    let place: StoredView | null = null;
    let placeMoment = -1;
    const presentPlace = (): StoredView => {
      if (placeMoment !== this.#moment || place === null) {
        place = this.#place(compiled);
        placeMoment = this.#moment;
        if (place === null) throw beingBuilt(compiled);
      }
      return place;
    };
    const snapshotTime = (): Micros => {
      const { flushedAt = 0 as Micros, position } = presentPlace();
      const flushed = this.#flushed.get(name);
      return flushed === undefined || position < flushed.position || flushed.at < flushedAt ? flushedAt : flushed.at;
    };
    return {
      definition,
      entity,
      source,
      fold,
      fallback: this.#stale.of(name),
      get epoch() {
        return presentPlace().epoch;
      },
      get snapshotTime() {
        return snapshotTime();
      },
      state: (key) => {
        const { space, position, tails } = presentPlace();
        const bytes = store.get(space, key);
        if (bytes === null) return null;
        const tail = tails === undefined ? null : readTail(tails, key, position);
        return decoded.decode(`${space}\0${key}`, fold, bytes, tail);
      },
    };
  }

  #tailReader(source: SourceDefinition): TailReader {
    const reader = this.#tailReaders.get(source) ?? new TailReader(this.#store, source);
    this.#tailReaders.set(source, reader);
    return reader;
  }

  /** Where the view's states are, or null where there are none of the view as it is compiled. */
  #place(compiled: CatalogView): StoredView | null {
    // What stands under a draft's name may be of what the draft was before, or will be.
    const isOther =
      compiled.definition.version === "dev" &&
      historyPlace(this.#store, compiled)?.fingerprint !== compiled.fingerprint;
    return isOther ? null : readStoredView(this.#store, compiled.name);
  }
}

function beingBuilt({ name }: CatalogView): OnefoldError {
  return new OnefoldError("NOT_READY", `view ${name} is being built`, {
    where: name,
    hint: "try again when GET /ready says so",
  });
}
