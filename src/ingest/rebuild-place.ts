/**
 * How far a rebuild has got: up to which entity, in the order of the keys, its states are whole. It is written in the
 * commit of those states, so that a rebuild that is cut short goes on behind them, and from nothing less.
 */
import type { MetaWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";

export interface RebuildPlace {
  /** All entities up to this one are done. */
  readonly afterKey: EntityKey;
  /** Of those, as `RebuildResult` has them. */
  readonly events: number;
  readonly entities: number;
  readonly poisoned: number;
}

export interface RebuildPlaces {
  /** Where one that was cut short stands; null where there was none. */
  readonly start: RebuildPlace | null;
  /** The meta that says so. */
  meta(place: RebuildPlace): MetaWrite;
}
