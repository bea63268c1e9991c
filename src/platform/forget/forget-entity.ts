/**
 * Everything that is kept of one entity, removed: from log, tables, states, dead letters and serving log.
 *
 * What is to be forgotten is first written down (`forget.json`), and that goes last. Where the process ends in between,
 * opening the folder goes on with it before anything is folded or served.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { replaceDurably } from "../../ingest/log-erasure.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import type { LocalOnlineStore } from "../../online-store/online-store.ts";
import { decodeServedVector, SERVING_LOG_SUFFIX } from "../../schema/served-vector.ts";
import { encodeEntityKey, type EntityKey } from "../../schema/entity-key.ts";
import { checkValue } from "../../schema/check-value.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { CatalogView } from "../view-catalog.ts";
import { forgetAlertDetails } from "../monitoring/alert-answers.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import { forgetDrift } from "./forget-drift.ts";
import { forgetInSource, type ForgottenOfSource } from "./forget-source.ts";

export interface ForgetReport extends ForgottenOfSource {
  readonly entity: string;
  readonly key: EntityKey;
  /** Sources that were looked through. */
  readonly sources: readonly string[];
  readonly servedVectors: number;
}

/** A source that has events of the entity, with all its views. */
export interface SourceOfEntity {
  readonly source: SourceDefinition;
  readonly views: readonly CatalogView[];
}

const JOURNAL = "forget.json";

/** Canonical key of parts as they are written. Throws `ENTITY_UNKNOWN`, `KEY_MISSING`, `TYPE_MISMATCH`. */
export function keyToForget({ registry }: RuntimeContext, entity: string, parts: readonly unknown[]): EntityKey {
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
 * from one of them, or one with another key: an event that is taken out would be missing there.
 */
export function sourcesOfEntity({ registry, catalog }: RuntimeContext, entity: string): SourceOfEntity[] {
  registry.entity(entity);
  const views = registry.views().map(({ definition }) => definition);
  const names = new Set(views.filter((view) => view.entity === entity).map(({ source }) => source));
  const found: SourceOfEntity[] = [];
  for (const name of names) {
    const source = registry.source(name).definition;
    if (source.kind === "stream" && source.kafka !== undefined) throw fromKafka(entity, name);
    const on = views.filter((view) => view.source === name);
    const keys = new Set(on.map(({ key }) => JSON.stringify(key)));
    const others = on.filter((view) => view.entity !== entity);
    if (others.length > 0 || keys.size > 1) throw shared(entity, name, others.length > 0 ? others : on);
    found.push({ source, views: on.map((view) => catalog.view(view.name, view.version)) });
  }
  return found;
}

function fromKafka(entity: string, source: string): OnefoldError {
  return new OnefoldError(
    "REQUEST_INVALID",
    `events of entity ${entity} come from Kafka, where none can be forgotten`,
    {
      where: source,
      hint: "fold a topic without its records anew, and delete the old one: docs/kafka.md, Taking back and forgetting",
    },
  );
}

function shared(
  entity: string,
  source: string,
  views: readonly { readonly name: string; readonly version: unknown }[],
): OnefoldError {
  const names = views.map(({ name, version }) => `${name}@${version}`);
  return new OnefoldError("FORGET_SHARED", `events of entity ${entity} in source ${source} are folded for others too`, {
    where: names.join(", "),
    hint: "to take them out would change what these views hold and held: give what must be forgettable a stream of its own; docs/forgetting.md has other ways",
  });
}

interface Journal {
  readonly entity: string;
  readonly key: EntityKey;
}

/** As `Platform.forget`. */
export async function forgetOwned(
  context: RuntimeContext,
  sources: {
    get(source: string): { forget(views: readonly CatalogView[], key: EntityKey): Promise<ForgottenOfSource> };
  },
  asked: ForgetAsked,
): Promise<ForgetReport> {
  const { entity, parts, settle, forgetMonitored } = asked;
  const journal = { entity, key: keyToForget(context, entity, parts) };
  await settle();
  const inSource = ({ source, views }: SourceOfEntity): Promise<ForgottenOfSource> =>
    sources.get(source.name).forget(views, journal.key);
  return forgetEntity(context, journal, inSource, forgetMonitored);
}

export interface ForgetAsked {
  readonly entity: string;
  readonly parts: readonly unknown[];
  settle(): Promise<void>;
  /** Takes out of what monitoring keeps whatever may name the entity or have its values. */
  forgetMonitored(): Promise<void>;
}

/** `inSource` closes a source while `forgetInSource` works on it; `forgetMonitored` is that of `ForgetAsked`. */
export async function forgetEntity(
  context: RuntimeContext,
  journal: Journal,
  inSource: (one: SourceOfEntity) => Promise<ForgottenOfSource>,
  forgetMonitored: () => Promise<void>,
): Promise<ForgetReport> {
  const sources = sourcesOfEntity(context, journal.entity);
  await replaceDurably(context.dataDir, JOURNAL, Buffer.from(JSON.stringify(journal)));
  const counts = { events: 0, retractions: 0, states: 0, featureRows: 0, deadLetters: 0 };
  for (const one of sources) {
    const found = await inSource(one);
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += found[name];
  }
  const servedVectors = await forgetServed(join(context.dataDir, "serving-log"), journal);
  // Profiles hold the values that came most often; they are made again of what is left.
  for (const part of ["quality", "skew"]) {
    await rm(join(context.dataDir, "monitor", part), { recursive: true, force: true });
  }
  await forgetMonitored();
  await rm(join(context.dataDir, JOURNAL));
  return { ...journal, sources: sources.map(({ source }) => source.name), ...counts, servedVectors };
}

/** Goes on where a process that was to forget an entity ended. No source may be open. */
export async function resumeForgetting(context: RuntimeContext, online: LocalOnlineStore): Promise<void> {
  const text = await readFile(join(context.dataDir, JOURNAL), "utf8").catch(() => null);
  if (text === null) return;
  const journal = JSON.parse(text) as Journal;
  const { entity, key } = journal;
  const forgetMonitored = async (): Promise<void> => {
    await forgetAlertDetails(context.dataDir, context.clock.now());
    const { dataDir } = context;
    const kept = { windows: new WindowFolder(dataDir), folded: foldedWindows(dataDir) };
    await forgetDrift(kept, context.registry, entity);
  };
  await forgetEntity(context, journal, (one) => forgetInSource({ context, online, ...one, key }), forgetMonitored);
}

/** A writer that has a segment open sees that its file is gone, and begins another. */
async function forgetServed(folder: string, { entity, key }: Journal): Promise<number> {
  let forgotten = 0;
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(SERVING_LOG_SUFFIX));
  for (const name of names.sort()) {
    const lines = (await readFile(join(folder, name), "utf8")).split("\n");
    const kept = lines.filter((line) => !isOf(line, entity, key));
    if (kept.length === lines.length) continue;
    forgotten += lines.length - kept.length;
    await replaceDurably(folder, name, Buffer.from(kept.join("\n")));
  }
  return forgotten;
}

function isOf(line: string, entity: string, key: EntityKey): boolean {
  if (!line.includes(JSON.stringify(key).slice(1, -1))) return false;
  try {
    return decodeServedVector(line).keys[entity] === key;
  } catch {
    // A torn last line: its beginning names the keys, and nobody can use it.
    return true;
  }
}
