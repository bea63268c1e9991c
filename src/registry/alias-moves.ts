/**
 * Aliases: names such as `prod` for one version of a view or of a service.
 *
 * What is kept is every move that an alias made; where it points, where it pointed before and what is kept for it follow from
 * these. A move back undoes the last move that was not formers, so that going back twice goes back by two:
 *
 *     prod   1 -> 2   2 -> 3   back to 2   back to 1
 */
import { OnefoldError } from "../base/errors.ts";
import { type DurationMicros, formatMicros, type Micros, parseMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { Definition } from "../define/definition.ts";
import { versionOf } from "./definition-set.ts";
import { parseNamedVersion } from "./named-version.ts";

/** What may have aliases; on-demand views count as views. */
export type AliasedKind = "view" | "service";

export interface AliasMove {
  /** RFC 3339. */
  readonly at: string;
  readonly by: string;
  readonly action: "promote" | "rollback";
  readonly kind: AliasedKind;
  readonly name: string;
  readonly alias: string;
  /** What it named; null where it was not set. */
  readonly from: number | null;
  readonly to: number;
  /** What the name alone meant before, which is where going back leads; null where that was nothing else. */
  readonly former: number | null;
  /** RFC 3339: until then the former version is not retired. */
  readonly keptUntil: string;
}

/** Where an alias points now. */
export interface Alias extends Omit<AliasMove, "from" | "to" | "former"> {
  readonly version: number;
  /** Where going back leads; null where there is nothing to undo. */
  readonly former: number | null;
}

interface AskedAlias {
  /** Wanted where a view and a service have one name. */
  readonly kind?: AliasedKind;
  /** Default `prod`. */
  readonly alias?: string;
  /** The version that whoever asks believes it to name, null for none: where it names another, nothing is moved. */
  readonly from?: number | null;
  readonly by: string;
  /** For how long the version that it leaves is kept. Default 7 days. */
  readonly keepMicros?: DurationMicros;
}

/** Points the alias at `target`, `name@2`; or back at where it was before. */
export type AskedMove = AskedAlias &
  ({ readonly action: "promote"; readonly target: string } | { readonly action: "rollback"; readonly name: string });

/** What a name alone means, where it is set. */
export const DEFAULT_ALIAS = "prod";
/** Set by nobody: the highest numbered version. */
export const LATEST = "latest";
const KEEP_MICROS: DurationMicros = 7 * 24 * 3600 * 1_000_000;
const ALIAS_NAME = /^[a-z][a-z0-9_-]{0,31}$/;

/** Where every alias points, in the order in which they were first set. */
export function aliasesOf(moves: readonly AliasMove[]): readonly Alias[] {
  const found = new Map<string, { readonly last: AliasMove; readonly formers: (number | null)[] }>();
  for (const move of moves) {
    const formers = found.get(keyOfAlias(move))?.formers ?? [];
    if (move.action === "promote") formers.push(move.former);
    else formers.pop();
    found.set(keyOfAlias(move), { last: move, formers });
  }
  return Array.from(found.values(), ({ last: { from: _from, to, ...move }, formers }) => ({
    ...move,
    version: to,
    former: formers.at(-1) ?? null,
  }));
}

/** Null where it is not set. */
export function aliasVersion(
  moves: readonly AliasMove[],
  { kind, name, alias }: Pick<AliasMove, "kind" | "name" | "alias">,
): number | null {
  const last = moves.findLast((move) => move.kind === kind && move.name === name && move.alias === alias);
  return last?.to ?? null;
}

/** A version that an alias has left and may have to go back to, and until when it is kept for that. */
export interface KeptVersion extends Pick<AliasMove, "kind" | "name" | "alias" | "keptUntil"> {
  readonly version: number;
}

export function keptVersions(moves: readonly AliasMove[], now: Micros): KeptVersion[] {
  return moves.flatMap(({ kind, name, alias, keptUntil, from, former, to }) => {
    const version = from ?? former;
    if (version === null || version === to || parseMicros(keptUntil) <= now) return [];
    return [{ kind, name, alias, keptUntil, version }];
  });
}

/**
 * The move that is asked for; null where the alias points there already. Throws `VIEW_UNKNOWN`, `SERVICE_UNKNOWN`,
 * `REQUEST_INVALID`, `ALIAS_UNKNOWN`, `ALIAS_MOVED`, `ALIAS_HAS_NO_FORMER`.
 */
export function nextMove(
  { definitions, moves }: { readonly definitions: readonly Definition[]; readonly moves: readonly AliasMove[] },
  asked: AskedMove,
  now: Micros,
): AliasMove | null {
  const { alias = DEFAULT_ALIAS, by, keepMicros = KEEP_MICROS } = asked;
  const named = parseNamedVersion(asked.action === "promote" ? asked.target : refuseVersion(asked.name));
  const { kind, versions } = versionsNamed(definitions, named.name, asked.kind);
  const { name } = named;
  refuseAliasName(alias);
  const from = aliasVersion(moves, { kind, name, alias });
  const isElsewhere = asked.from !== undefined && asked.from !== from;
  // One that is asked for once more is not one further back.
  if (isElsewhere && asked.action === "rollback") throw moved({ name, alias }, asked.from, from);
  const to =
    asked.action === "promote"
      ? targetOf(asked.target, kind, versions, named.version)
      : formerOf(moves, { kind, name, alias }, versions);
  if (from === to) return null;
  if (isElsewhere) throw moved({ name, alias }, asked.from, from);
  const meant = from ?? (alias === DEFAULT_ALIAS ? (versions.at(-1) ?? null) : null);
  return {
    at: formatMicros(now),
    by,
    action: asked.action,
    kind,
    name,
    alias,
    from,
    to,
    former: meant === to ? null : meant,
    keptUntil: formatMicros((now + keepMicros) as Micros),
  };
}

/** Numbered versions, ascending. */
function versionsNamed(
  definitions: readonly Definition[],
  name: string,
  wanted: AliasedKind | undefined,
): { readonly kind: AliasedKind; readonly versions: readonly number[] } {
  const kind = refuseAmbiguous(definitions, name, wanted);
  const versions = definitions.filter((one) => one.name === name && kindOf(one) === kind).map(versionOf);
  return { kind, versions: versions.filter((one): one is number => typeof one === "number").sort((a, b) => a - b) };
}

/** What is called so. Throws `VIEW_UNKNOWN`, `SERVICE_UNKNOWN`, and `REQUEST_INVALID` where both are. */
export function refuseAmbiguous(
  definitions: readonly Definition[],
  name: string,
  wanted: AliasedKind | undefined,
): AliasedKind {
  const kinds = [...new Set(definitions.filter((one) => one.name === name).flatMap((one) => kindOf(one) ?? []))];
  const kind = wanted ?? kinds[0];
  if (kind === undefined || !kinds.includes(kind)) {
    const known = definitions.filter((one) => kindOf(one) !== null).map((one) => one.name);
    const what = kind ?? "service or view";
    throw new OnefoldError(kind === "view" ? "VIEW_UNKNOWN" : "SERVICE_UNKNOWN", `there is no ${what} "${name}"`, {
      candidates: nearestNames(name, [...new Set(known)]),
    });
  }
  if (wanted !== undefined || kinds.length === 1) return kind;
  throw new OnefoldError("REQUEST_INVALID", `"${name}" is the name of a view and of a service`, {
    hint: "say which is meant: --kind view or --kind service",
  });
}

export function kindOf({ kind }: Definition): AliasedKind | null {
  if (kind === "service") return "service";
  return kind === "view" || kind === "on-demand" ? "view" : null;
}

function targetOf(
  target: string,
  kind: AliasedKind,
  versions: readonly number[],
  version: ReturnType<typeof parseNamedVersion>["version"],
): number {
  if (typeof version === "number" && versions.includes(version)) return version;
  if (version === null || version === "dev" || typeof version === "object") {
    const what = version === "dev" ? "is a draft, which no alias may name" : "does not name a version";
    throw new OnefoldError("REQUEST_INVALID", `"${target}" ${what}`, {
      hint: "write name@2",
      candidates: versions.map((one) => target.replace(/(@.*)?$/, `@${one}`)),
    });
  }
  throw new OnefoldError(kind === "view" ? "VIEW_UNKNOWN" : "SERVICE_UNKNOWN", `there is no ${kind} "${target}"`, {
    candidates: versions.map((one) => target.replace(/@.*$/, `@${one}`)),
  });
}

/** What goes back is an alias, which is said apart from the name. */
function refuseVersion(text: string): string {
  const { name, version } = parseNamedVersion(text);
  if (version === null) return text;
  const said = typeof version === "object" && version.alias !== LATEST ? ` --as ${version.alias}` : "";
  throw new OnefoldError("REQUEST_INVALID", `"${text}" is no name alone: an alias goes back to where it was`, {
    hint: `name what has the alias: onefold rollback ${name}${said}`,
  });
}

function formerOf(
  moves: readonly AliasMove[],
  asked: Pick<AliasMove, "kind" | "name" | "alias">,
  versions: readonly number[],
): number {
  const known = aliasesOf(moves).find((one) => keyOfAlias(one) === keyOfAlias(asked));
  if (known === undefined) throw unknownAlias(asked, moves);
  const { former, name, alias } = known;
  if (former !== null && versions.includes(former)) return former;
  const why = former === null ? "it has not been anywhere else" : `${name}@${former} was retired`;
  throw new OnefoldError("ALIAS_HAS_NO_FORMER", `${name}@${alias} cannot go back: ${why}`, {
    hint: `point it at a version: onefold promote ${name}@VERSION --as ${alias}`,
  });
}

/** `name@alias` where no such alias is set. */
export function unknownAlias(
  { kind, name, alias }: Pick<AliasMove, "kind" | "name" | "alias">,
  moves: readonly AliasMove[],
): OnefoldError {
  const set = aliasesOf(moves).filter((one) => one.kind === kind && one.name === name);
  return new OnefoldError("ALIAS_UNKNOWN", `${kind} "${name}" has no alias "${alias}"`, {
    hint: `set it: onefold promote ${name}@VERSION --as ${alias}`,
    candidates: [...set.map((one) => one.alias), LATEST].map((one) => `${name}@${one}`),
  });
}

function moved(
  { name, alias }: Pick<AliasMove, "name" | "alias">,
  expected: number | null,
  from: number | null,
): OnefoldError {
  const text = (version: number | null): string => (version === null ? "nothing" : `${name}@${version}`);
  return new OnefoldError(
    "ALIAS_MOVED",
    `${name}@${alias} names ${text(from)}, not ${text(expected)}: nothing was moved`,
    {
      hint: `somebody else has moved it: look at onefold aliases ${name}, and ask again`,
    },
  );
}

function refuseAliasName(alias: string): void {
  if (ALIAS_NAME.test(alias) && alias !== LATEST && alias !== "dev") return;
  throw new OnefoldError("REQUEST_INVALID", `"${alias}" is no name for an alias`, {
    hint: `a letter, then up to 31 small letters, digits, "_" and "-"; ${LATEST} and dev have a meaning of their own`,
  });
}

function keyOfAlias({ kind, name, alias }: Pick<AliasMove, "kind" | "name" | "alias">): string {
  return `${kind}:${name}@${alias}`;
}
