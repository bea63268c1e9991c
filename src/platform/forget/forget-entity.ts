/**
 * Everything that is kept of one entity, removed: from log, tables, states, dead letters and serving log.
 *
 * What is to be forgotten is first written down (`forget.json`), and that goes last. Where the process ends in between,
 * opening the folder goes on with it before anything is folded or served.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, OnefoldError } from "../../base/errors.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { replaceDurably } from "../../ingest/log-erasure.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import { ShadowFolder } from "../../monitor/shadow/shadow-folder.ts";
import type { LocalOnlineStore } from "../../online-store/online-store.ts";
import { decodeServedVector } from "../../schema/served-vector.ts";
import { eraseServed } from "../../serve/serving-log-erasure.ts";
import { encodeEntityKey, type EntityKey } from "../../schema/entity-key.ts";
import { checkValue } from "../../schema/check-value.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { CatalogView } from "../view-catalog.ts";
import { forgetAlertDetails } from "../monitoring/alert-answers.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import { forgetDrift } from "./forget-drift.ts";
import type { SharingEntities } from "./forget-shared.ts";
import { forgetInSource, type ForgetInSource, type ForgottenOfSource } from "./forget-source.ts";

export interface ForgetOptions {
  /** Also where views of others are folded from its events: their values change. Default false: that is refused. */
  readonly shared?: boolean;
  /** Leaves out sources on Kafka, in which `forgetOnKafka` forgets. Default false: they are refused. */
  readonly exceptKafka?: boolean;
}

export interface ForgetReport extends ForgottenOfSource {
  readonly entity: string;
  readonly key: EntityKey;
  /** Sources that were looked through. */
  readonly sources: readonly string[];
  readonly servedVectors: number;
}

/** A source that has events of the entity. */
export interface SourceOfEntity {
  readonly source: SourceDefinition;
  /** The entity's views on it. */
  readonly views: readonly CatalogView[];
  /** All views on it, where some are others'; null where all are the entity's, by the same key. */
  readonly all: readonly CatalogView[] | null;
}

const JOURNAL = "forget.json";

/** Canonical key of parts as they are written. Throws `ENTITY_UNKNOWN`, `KEY_MISSING`, `TYPE_MISMATCH`. */
export function keyToForget(
  { registry }: Pick<RuntimeContext, "registry">,
  entity: string,
  parts: readonly unknown[],
): EntityKey {
  const { keys } = registry.entity(entity).definition;
  if (parts.length !== keys.length) {
    throw new OnefoldError(
      "KEY_MISSING",
      `entity ${entity} has ${keys.length} key columns, ${parts.length} were given`,
      {
        where: keys.map(({ name }) => name).join(", "),
      },
    );
  }
  const types = keys.map(({ type }) => type);
  return encodeEntityKey(
    parts.map((part, i) => checkValue(typeof part === "string" ? fromText(part, types[i]!.name) : part, types[i]!)),
    types,
  );
}

function fromText(text: string, type: string): unknown {
  if (type === "int64" && /^-?\d{1,15}$/.test(text)) return Number(text);
  return type === "bool" && (text === "true" || text === "false") ? text === "true" : text;
}

/**
 * The sources that views of the entity are folded from. Throws `FORGET_SHARED` where another entity's view is folded
 * from one of them, or one with another key, unless `isShared`: an event that is taken out is missing there.
 */
export function sourcesOfEntity(
  { registry, catalog, publishes }: RuntimeContext,
  entity: string,
  isShared: boolean,
  exceptKafka = false,
): SourceOfEntity[] {
  registry.entity(entity);
  const views = registry.views().map(({ definition }) => definition);
  const names = new Set(views.filter((view) => view.entity === entity).map(({ source }) => source));
  const found: SourceOfEntity[] = [];
  for (const name of names) {
    const source = registry.source(name).definition;
    if (source.kind === "stream" && source.kafka !== undefined) {
      if (exceptKafka) continue;
      throw fromKafka(entity, name);
    }
    const on = views.filter((view) => view.source === name);
    const keys = new Set(on.map(({ key }) => JSON.stringify(key)));
    const others = on.filter((view) => view.entity !== entity);
    const sharesWith = others.length > 0 ? others : keys.size > 1 ? on : [];
    if (sharesWith.length > 0 && !isShared) throw sharedEvents(entity, name, sharesWith);
    if (sharesWith.length > 0 && publishes) throw published(entity, name);
    const all = on.map((view) => catalog.view(view.name, view.version));
    const own = all.filter(({ definition }) => definition.entity === entity);
    found.push({ source, views: own, all: sharesWith.length > 0 ? all : null });
  }
  return found;
}

function fromKafka(entity: string, source: string): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `events of entity ${entity} come from Kafka, and workers keep them`, {
    where: source,
    hint: "give --kafka, --online and --archive of the workers, which are to run meanwhile: docs/kafka.md, Forgetting",
  });
}

export function sharedEvents(
  entity: string,
  source: string,
  views: readonly { readonly name: string; readonly version: unknown }[],
): OnefoldError {
  const names = views.map(({ name, version }) => `${name}@${version}`);
  return new OnefoldError("FORGET_SHARED", `events of entity ${entity} in source ${source} are folded for others too`, {
    where: names.join(", "),
    hint: "to take them out changes what these views hold and held: ask for that with --shared; docs/forgetting.md says what becomes of them, and has other ways",
  });
}

function published(entity: string, source: string): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `states that events of entity ${entity} are in are published`, {
    where: source,
    hint: "what was published of others would not be replaced: forget without --publish, and publish to an empty Redis then",
  });
}

interface Journal {
  readonly entity: string;
  readonly key: EntityKey;
  /** Others are folded anew without its events. */
  readonly shared?: boolean;
  readonly exceptKafka?: boolean;
  /** Those others, by source, as far as they were looked for. */
  readonly sharing?: Readonly<Record<string, readonly SharingEntities[]>>;
}

/** As `Platform.forget`. */
export async function forgetOwned(
  context: RuntimeContext,
  sources: {
    get(source: string): { forget(asked: ForgetOfSource): Promise<ForgottenOfSource> };
  },
  asked: ForgetAsked,
): Promise<ForgetReport> {
  const { entity, parts, isShared, exceptKafka, settle, forgetMonitored } = asked;
  const key = keyToForget(context, entity, parts);
  await settle();
  const inSource = (source: string, one: ForgetOfSource): Promise<ForgottenOfSource> => sources.get(source).forget(one);
  const begun = { entity, key, ...(isShared ? { shared: true } : {}), ...(exceptKafka ? { exceptKafka } : {}) };
  return forgetEntity(context, begun, inSource, forgetMonitored);
}

export type ForgetOfSource = Pick<ForgetInSource, "views" | "shared" | "key">;

export interface ForgetAsked {
  readonly entity: string;
  readonly parts: readonly unknown[];
  /** Also where others are folded from its events, whose values change. */
  readonly isShared: boolean;
  readonly exceptKafka: boolean;
  settle(): Promise<void>;
  /** Takes out of what monitoring keeps whatever may name the entity or have its values. */
  forgetMonitored(): Promise<void>;
}

/** `inSource` closes a source while `forgetInSource` works on it; `forgetMonitored` is that of `ForgetAsked`. */
export async function forgetEntity(
  context: RuntimeContext,
  begun: Journal,
  inSource: (source: string, one: ForgetOfSource) => Promise<ForgottenOfSource>,
  forgetMonitored: () => Promise<void>,
): Promise<ForgetReport> {
  const { entity, key } = begun;
  const sources = sourcesOfEntity(context, entity, begun.shared === true, begun.exceptKafka === true);
  const sharing: Record<string, readonly SharingEntities[]> = { ...begun.sharing };
  const journal: Journal = { ...begun, sharing };
  const keep = (): Promise<void> => replaceDurably(context.dataDir, JOURNAL, Buffer.from(JSON.stringify(journal)));
  await keep();
  const counts = { events: 0, retractions: 0, states: 0, featureRows: 0, deadLetters: 0, refolded: 0 };
  for (const { source, views, all } of sources) {
    const note = (others: readonly SharingEntities[]): Promise<void> => {
      sharing[source.name] = others;
      return keep();
    };
    const noted = sharing[source.name] ?? [];
    const found = await inSource(source.name, { views, key, shared: all === null ? null : { all, noted, note } });
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += found[name];
  }
  const servedVectors = await forgetServed(join(context.dataDir, "serving-log"), journal);
  // Profiles hold the values that came most often; they are made again of what is left.
  for (const part of ["quality", "skew"]) {
    await rm(join(context.dataDir, "monitor", part), { recursive: true, force: true });
  }
  await forgetMonitored();
  await rm(join(context.dataDir, JOURNAL));
  return { entity, key, sources: sources.map(({ source }) => source.name), ...counts, servedVectors };
}

/** Goes on where a process that was to forget an entity ended. No source may be open. Throws `FORGET_UNREADABLE`. */
export async function resumeForgetting(context: RuntimeContext, online: LocalOnlineStore): Promise<void> {
  const journal = await readJournal(join(context.dataDir, JOURNAL));
  if (journal === null) return;
  const { entity } = journal;
  const forgetMonitored = (): Promise<void> => forgetMonitoredIn(context, entity);
  const inSource = (source: string, one: ForgetOfSource): Promise<ForgottenOfSource> =>
    forgetInSource({ context, online, source: context.registry.source(source).definition, ...one });
  await forgetEntity(context, journal, inSource, forgetMonitored);
}

/** In a folder that nobody has open as its owner. */
export async function forgetMonitoredIn(
  { dataDir, clock, registry }: Pick<RuntimeContext, "dataDir" | "clock" | "registry">,
  entity: string,
): Promise<void> {
  await forgetAlertDetails(dataDir, clock.now());
  // File by file: servers that read from an online store may write there meanwhile.
  await new ShadowFolder(dataDir).remove(() => true);
  const kept = { windows: new WindowFolder(dataDir), folded: foldedWindows(dataDir) };
  await forgetDrift(kept, registry, entity);
}

/** Null where nothing is being forgotten. What cannot be read is no such word: it is forgotten by halves then. */
async function readJournal(path: string): Promise<Journal | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unreadable(path, cause);
  }
  let parsed: Partial<Journal> | null;
  try {
    parsed = JSON.parse(text) as Partial<Journal> | null;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const { entity, key } = parsed ?? {};
  if (typeof entity === "string" && typeof key === "string") return { ...parsed, entity, key };
  throw unreadable(path, new Error("it names no entity and key"));
}

function unreadable(path: string, cause: unknown): OnefoldError {
  return new OnefoldError("FORGET_UNREADABLE", `what was being forgotten cannot be read: ${messageOf(cause)}`, {
    where: path,
    hint: 'let it be read, or write into it again what was being forgotten, {"entity":"user","key":"ada"}; then open the folder again',
    cause,
  });
}

/** Its vectors, and those of others that had its events in them: nobody can compute them again. Servers may write on. */
export async function forgetServed(
  folder: string,
  { entity, key, sharing = {} }: Pick<Journal, "entity" | "key" | "sharing">,
): Promise<number> {
  const gone = new Map([[entity, new Set([key])]]);
  for (const other of Object.values(sharing).flat()) {
    gone.set(other.entity, new Set([...(gone.get(other.entity) ?? []), ...other.keys]));
  }
  return eraseServed(folder, (line) => isOf(line, gone));
}

function isOf(line: string, gone: ReadonlyMap<string, ReadonlySet<EntityKey>>): boolean {
  try {
    const { keys, exposure } = decodeServedVector(line);
    const { entity, unit } = exposure ?? {};
    if (entity !== undefined && gone.get(entity)?.has(unit as EntityKey) === true) return true;
    return Object.entries(keys).some(([entity, key]) => gone.get(entity)?.has(key) === true);
  } catch {
    // A torn last line: its beginning names the keys, and nobody can use it.
    return true;
  }
}
