/**
 * Moves aliases, and retires versions, for whoever asks. A move: one that says nothing of where the alias points now means what this process knew when it was
 * asked, so that of two who move it at once one hears that it was moved.
 */
import { parseDuration } from "../base/micros.ts";
import { aliasesOf, aliasVersion, type AskedMove, DEFAULT_ALIAS, kindOf, LATEST } from "../registry/alias-moves.ts";
import { parseNamedVersion } from "../registry/named-version.ts";
import { type FittedHouse, refuseUnfitted } from "./fitted-versions.ts";
import type { Registry } from "../registry/registry.ts";
import { type Moved, type MoveOptions, shownAlias, type VersionDesk } from "../serve/version-desk.ts";
import { type RetireHouse, retireVersion } from "./retire-version.ts";
import type { Owned } from "./platform-parts.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import type { Registrations } from "./registrations.ts";

export {
  type Moved,
  type MoveOptions,
  type RecentReads,
  type Retirement,
  type RetireOptions,
  type ShownAlias,
  shownAliases,
  type ShownMove,
  type VersionDesk,
} from "../serve/version-desk.ts";

/** What versions need of a platform. */
export function versionHouse(
  { registry, fits, clock, dataDir, offline, publishes }: RuntimeContext,
  owned: Owned | null,
  registrations: Registrations,
  keepUsage: () => Promise<void>,
): Omit<RetireHouse, "isShared"> & Pick<Registrations, "moveAlias"> & FittedHouse {
  return {
    registry,
    fits,
    clock,
    dataDir,
    publishes,
    keepUsage,
    moveAlias: (asked) => registrations.moveAlias(asked),
    retire: (asked) => registrations.retire(asked),
    stateBytes: (view) => owned?.sources.stateBytes(view) ?? null,
    tableBytes: async (name) => {
      const table = await offline.find(name);
      return (await table?.snapshot())?.files.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0;
    },
  };
}

/** `refuse` throws where this process may not register anything. */
export function openVersionDesk(
  house: RetireHouse & Pick<Registrations, "moveAlias"> & FittedHouse,
  refuse: () => unknown,
): VersionDesk {
  const { registry } = house;
  const moveAndShow = async (asked: AskedMove, name: string): Promise<Moved> => {
    refuse();
    const made = await house.moveAlias({
      ...asked,
      from: asked.from === undefined ? known(registry, asked, name) : asked.from,
    });
    const { alias = DEFAULT_ALIAS } = asked;
    const kind = made?.kind ?? asked.kind;
    const found = aliasesOf(registry.aliasMoves()).find(
      (one) => one.name === name && one.alias === alias && (kind === undefined || one.kind === kind),
    );
    return { moved: made !== null, alias: shownAlias(found!) };
  };
  return {
    promote: async (target, options) => {
      const { name } = parseNamedVersion(target);
      const { as: alias, kind } = options;
      if (kind !== "view") refuseUnfitted(house, [target], [alias === undefined ? name : `${name}@${alias}`]);
      return moveAndShow({ ...askedOf(options), action: "promote", target }, name);
    },
    retire: async (target, options) => {
      if (options.dry_run !== true) refuse();
      return retireVersion(house, target, options);
    },
    rollback: async (name, options) => moveAndShow({ ...askedOf(options), action: "rollback", name }, name),
  };
}

function askedOf({ kind, as: alias, from, by, keep }: MoveOptions): Omit<AskedMove, "action" | "target" | "name"> {
  return {
    by,
    ...(kind === undefined ? {} : { kind }),
    ...(alias === undefined ? {} : { alias }),
    ...(from === undefined ? {} : { from }),
    ...(keep === undefined ? {} : { keepMicros: keep === "0" ? 0 : parseDuration(keep) }),
  };
}

function known(registry: Registry, { kind, alias = DEFAULT_ALIAS }: AskedMove, name: string): number | null {
  const all = registry.find({ name }).flatMap(({ definition }) => kindOf(definition) ?? []);
  const meant = kind ?? all[0];
  return meant === undefined || alias === LATEST
    ? null
    : aliasVersion(registry.aliasMoves(), { kind: meant, name, alias });
}
