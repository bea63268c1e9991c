/**
 * Which version a name means: the one it names, or that of its alias; alone, what the alias `prod` names, and the highest
 * version where nobody has set that.
 */
import type { Definition } from "../define/definition.ts";
import { type AliasedKind, type AliasMove, aliasVersion, DEFAULT_ALIAS, LATEST, unknownAlias } from "./alias-moves.ts";
import { versionOf } from "./definition-set.ts";
import type { NamedVersion } from "./named-version.ts";
import type { Registered } from "./registry.ts";

/**
 * The one among `versions`, all those of its name in ascending order, that is meant; undefined where there is none. Throws
 * `ALIAS_UNKNOWN`.
 */
export function meantVersion<D extends Definition>(
  kind: AliasedKind,
  versions: readonly Registered<D>[],
  { name, version }: NamedVersion,
  moves: readonly AliasMove[],
): Registered<D> | undefined {
  const of = (wanted: number | "dev"): Registered<D> | undefined =>
    versions.find(({ definition }) => versionOf(definition) === wanted);
  if (typeof version === "number" || version === "dev") return of(version);
  const alias = version?.alias ?? DEFAULT_ALIAS;
  if (alias === LATEST) return versions.at(-1);
  const set = aliasVersion(moves, { kind, name, alias });
  if (set !== null) return of(set);
  if (version === null) return versions.at(-1);
  throw unknownAlias({ kind, name, alias }, moves);
}
