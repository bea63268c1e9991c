/**
 * Aliases as they are asked for: where each points, and moves. Names are those of the wire; plain data, so that a worker
 * process can pass it on to the owner of the data folder.
 */
import { formatDuration, parseMicros } from "../base/micros.ts";
import { type Alias, aliasesOf, type AliasedKind, type AliasMove } from "../registry/alias-moves.ts";

export interface MoveOptions {
  /** Wanted where a view and a service have one name. */
  readonly kind?: AliasedKind;
  /** The alias. Default prod. */
  readonly as?: string;
  /** The version that it is to be moved from, null for none: where it names another, nothing is moved. */
  readonly from?: number | null;
  readonly by: string;
  /** For how long the version that it leaves is kept, such as 7d, which is the default. */
  readonly keep?: string;
}

/** Where an alias points. Times are RFC 3339. */
export interface ShownAlias {
  readonly kind: AliasedKind;
  readonly name: string;
  readonly alias: string;
  readonly version: number;
  /** Where `rollback` leads; null where there is nowhere to go back to. */
  readonly former: number | null;
  /** Until when the version that it left is kept. */
  readonly kept_until: string;
  readonly by: string;
  readonly at: string;
}

export interface ShownMove {
  readonly action: AliasMove["action"];
  readonly kind: AliasedKind;
  readonly name: string;
  readonly alias: string;
  readonly from: number | null;
  readonly to: number;
  /** How long the version that it left was to be kept. */
  readonly keep: string;
  readonly by: string;
  readonly at: string;
}

export interface Moved {
  /** False where the alias pointed there already. */
  readonly moved: boolean;
  readonly alias: ShownAlias;
}

export interface RetireOptions {
  /** Wanted where a view and a service have one name. */
  readonly kind?: AliasedKind;
  readonly by: string;
  /** Reads of so many days keep it from being retired. Default 7. */
  readonly days?: number;
  /** Retires it in spite of those, and of nothing else. */
  readonly force?: boolean;
  /** Says what keeps it and what would be given back, and does nothing. */
  readonly dry_run?: boolean;
}

export interface RecentReads {
  /** Empty where whoever asked has no name. */
  readonly consumer: string;
  /** Vectors of a service; values of a view's features. */
  readonly reads: number;
  /** 2026-11-26, UTC. */
  readonly last_read_on: string;
}

export interface Retirement {
  readonly retired: boolean;
  readonly kind: AliasedKind | "experiment";
  readonly name: string;
  /** Null of an experiment. */
  readonly version: number | null;
  /** What keeps it, a line each: aliases, what is kept to go back to, definitions. */
  readonly readers: readonly string[];
  /** Null where it is not known: other servers serve it, and what they count is not in this data folder. */
  readonly recent_reads: readonly RecentReads[] | null;
  /** Of its states; null where nobody says. */
  readonly state_bytes: number | null;
  /** Of its offline table of feature rows. */
  readonly table_bytes: number;
}

/** All of it may be asked from another process. */
export interface VersionDesk {
  /**
   * `name@2`. Durable once it resolves. Throws `VIEW_UNKNOWN`, `SERVICE_UNKNOWN`, `ALIAS_MOVED`, `REQUEST_INVALID`,
   * `DURATION_INVALID`.
   */
  promote(target: string, options: MoveOptions): Promise<Moved>;
  /** Throws as `promote`, and `ALIAS_UNKNOWN`, `ALIAS_HAS_NO_FORMER`. */
  rollback(name: string, options: MoveOptions): Promise<Moved>;
  /** `name@1`, or an experiment that was stopped; for good. Throws `VIEW_UNKNOWN`, `SERVICE_UNKNOWN`, `STILL_READ`, `REQUEST_INVALID`. */
  retire(target: string, options: RetireOptions): Promise<Retirement>;
}

export interface ShownAliases {
  readonly aliases: readonly ShownAlias[];
  readonly moves: readonly ShownMove[];
}

/** Of one name, or of all. */
export function shownAliases(moves: readonly AliasMove[], name?: string): ShownAliases {
  const isAsked = (one: { readonly name: string }): boolean => name === undefined || one.name === name;
  return { aliases: aliasesOf(moves).filter(isAsked).map(shownAlias), moves: moves.filter(isAsked).map(shownMove) };
}

export function shownAlias({ kind, name, alias, version, former, keptUntil, by, at }: Alias): ShownAlias {
  return { kind, name, alias, version, former, kept_until: keptUntil, by, at };
}

function shownMove({ action, kind, name, alias, from, to, keptUntil, by, at }: AliasMove): ShownMove {
  const keepMicros = parseMicros(keptUntil) - parseMicros(at);
  const keep = keepMicros <= 0 ? "0s" : formatDuration(keepMicros);
  return { action, kind, name, alias, from, to, keep, by, at };
}
