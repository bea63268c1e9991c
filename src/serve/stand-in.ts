/**
 * While a server builds what a version needs that an alias was moved to, it goes on answering by the version that the alias has
 * left, as long as that is kept to go back to. Of several moves the latest version that is ready stands in. One that was rolled
 * back from was given up, and does not, until it is promoted again.
 */
import { type ErrorCode, isOnefoldError } from "../base/errors.ts";
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
  const named = namedAndNotGivenUp(moves);
  return [...new Set(kept.reverse())].filter((one) => one !== present && named.has(one));
}

/** Of one alias. */
function namedAndNotGivenUp(moves: readonly AliasMove[]): ReadonlySet<number> {
  const named = new Set<number>();
  for (const { action, from, to } of moves) {
    if (action === "rollback" && from !== null) named.delete(from);
    named.add(to);
  }
  return named;
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
    const ready = movesOfReady(moves, ports);
    try {
      return { ...compile(ready.moves), isStandIn: true };
    } catch (other) {
      // To wait for what is not ready would not help against that.
      throw isOnefoldError(other) && ready.faults.has(other.code) ? other : error;
    }
  }
}

interface MovesOfReady {
  /** The moves, and behind them those that nobody made: to what stands in. */
  readonly moves: readonly AliasMove[];
  /** Why versions that are meant cannot be had, other than that they are not ready: for these nothing stands in. */
  readonly faults: ReadonlySet<ErrorCode>;
}

function movesOfReady(
  moves: readonly AliasMove[],
  ports: Pick<ServePorts, "registry" | "clock" | "view">,
): MovesOfReady {
  /** What is wrong with it; null where it is ready. */
  const faultOf = (name: string, version: number): unknown => {
    try {
      ports.view(name, version);
      return null;
    } catch (error) {
      return error;
    }
  };
  const faults = new Set<ErrorCode>();
  const made = aliasesOf(moves).flatMap(({ kind, name, alias, version }): AliasMove[] => {
    const fault = kind === "view" ? faultOf(name, version) : null;
    if (fault === null) return [];
    if (!isNotReady(fault)) {
      if (isOnefoldError(fault)) faults.add(fault.code);
      return [];
    }
    const ready = standIns(kind, `${name}@${alias}`, ports).find((one) => faultOf(name, one) === null);
    const last = moves.findLast((move) => move.kind === kind && move.name === name && move.alias === alias)!;
    return ready === undefined ? [] : [{ ...last, from: version, to: ready }];
  });
  return { moves: [...moves, ...made], faults };
}

export function isNotReady(error: unknown): boolean {
  return isOnefoldError(error) && error.code === "NOT_READY";
}
