/**
 * While a server builds what a version needs that an alias was moved to, it goes on answering by the version that the alias has
 * left, as long as that is kept to go back to. Of several moves the latest version that is ready stands in.
 */
import { isOnefoldError } from "../base/errors.ts";
import {
  type AliasedKind,
  aliasesOf,
  type AliasMove,
  aliasVersion,
  DEFAULT_ALIAS,
  keptVersions,
} from "../registry/alias-moves.ts";
import { parseNamedVersion } from "../registry/named-version.ts";
import type { ServePorts } from "./ports.ts";

/** A stand-in is looked at again so often: the version that is meant may be ready. */
export const STAND_IN_MILLIS = 100;

/** Versions that may stand in for what the name means, the latest move's first; none of a name with a number. */
export function standIns(
  kind: AliasedKind,
  text: string,
  { registry, clock }: Pick<ServePorts, "registry" | "clock">,
): readonly number[] {
  const { name, version } = parseNamedVersion(text);
  if (typeof version === "number" || version === "dev") return [];
  const alias = version?.alias ?? DEFAULT_ALIAS;
  const moves = registry.aliasMoves().filter((one) => one.kind === kind && one.name === name && one.alias === alias);
  const present = aliasVersion(moves, { kind, name, alias });
  const kept = keptVersions(moves, clock.now()).map((one) => one.version);
  return [...new Set(kept.reverse())].filter((one) => one !== present);
}

/** Compiles by where aliases of views point; where a version is not ready, by those that stand in. */
export function withStandIns<P extends { readonly isStandIn: boolean }>(
  ports: Pick<ServePorts, "registry" | "clock" | "view">,
  compile: (moves: readonly AliasMove[]) => P,
): P {
  const moves = ports.registry.aliasMoves();
  try {
    return compile(moves);
  } catch (error) {
    if (!isNotReady(error)) throw error;
    try {
      return { ...compile(movesOfReady(moves, ports)), isStandIn: true };
    } catch {
      throw error;
    }
  }
}

/** The moves, and behind them those that nobody made: to what stands in. */
function movesOfReady(
  moves: readonly AliasMove[],
  ports: Pick<ServePorts, "registry" | "clock" | "view">,
): readonly AliasMove[] {
  const isReady = (name: string, version: number): boolean => {
    try {
      ports.view(name, version);
      return true;
    } catch {
      return false;
    }
  };
  const made = aliasesOf(moves).flatMap(({ kind, name, alias, version }): AliasMove[] => {
    if (kind !== "view" || isReady(name, version)) return [];
    const ready = standIns(kind, `${name}@${alias}`, ports).find((one) => isReady(name, one));
    const last = moves.findLast((move) => move.kind === kind && move.name === name && move.alias === alias)!;
    return ready === undefined ? [] : [{ ...last, from: version, to: ready }];
  });
  return [...moves, ...made];
}

export function isNotReady(error: unknown): boolean {
  return isOnefoldError(error) && error.code === "NOT_READY";
}
