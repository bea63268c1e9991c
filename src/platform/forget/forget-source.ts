/**
 * An entity taken out of one source, while the source is closed: nothing folds, archives or pushes.
 *
 *     online store ─▶ log ─▶ table of events ─▶ tables of feature rows ─▶ dead letters ─▶ states of others, anew
 *
 * The order makes it safe to end anywhere and begin again. What goes is found in the archive, which holds all of the log;
 * so the archive is changed only once the log is, and ids, which nothing but the archive knows, went before both.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isOnefoldError } from "../../base/errors.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { keyFromStored } from "../../fold/derive.ts";
import { forgottenIdMeta } from "../../ingest/event-ids.ts";
import { eraseFromLog, replaceDurably } from "../../ingest/log-erasure.ts";
import { withoutNote } from "../../ingest/minute-notes.ts";
import { forgetTotals, SpaceTotals } from "../../ingest/space-totals.ts";
import { isTailSpace, tailSpace } from "../../ingest/tail-group.ts";
import { readStoredView, stateSpace } from "../../ingest/stored-view.ts";
import { sqlName, sqlText, type QueryEngine } from "../../offline-store/engine.ts";
import { entityKeySql } from "../../offline-store/entity-key-sql.ts";
import type { OfflineTable } from "../../offline-store/offline-store.ts";
import { discardUnnamed, fileRelation, filesWith, rewriteFiles } from "../../offline-store/table-rewrite.ts";
import type { LocalOnlineStore, MetaWrite, StateRead } from "../../online-store/online-store.ts";
import { checkValue } from "../../schema/check-value.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { Value } from "../../schema/value.ts";
import { allBackfills, backfillMeta, type BackfillPlace } from "../backfill-place.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { historyPlace } from "../view-builder.ts";
import type { CatalogView } from "../view-catalog.ts";
import {
  foldSharingAnew,
  isKeyedAs,
  joinSharing,
  oneOfEachKey,
  sharingEntities,
  type SharingEntities,
} from "./forget-shared.ts";
import { findForgottenEvents, type ForgottenEvents } from "./forgotten-events.ts";

export interface ForgottenOfSource {
  /** In the present epoch. */
  readonly events: number;
  readonly retractions: number;
  readonly states: number;
  readonly featureRows: number;
  readonly deadLetters: number;
  /** States of others that were folded anew. */
  readonly refolded: number;
}

export interface ForgetInSource {
  readonly context: RuntimeContext;
  readonly online: LocalOnlineStore;
  readonly source: SourceDefinition;
  /** The entity's views on the source. */
  readonly views: readonly CatalogView[];
  /** All views on the source, where others are to be folded anew without the events; null where there are none. */
  readonly shared: ForgetShared | null;
  readonly key: EntityKey;
  /** By view, where they were running: of the entity's last event, -Infinity for none. */
  readonly lastEventTimes?: ReadonlyMap<string, number>;
}

export interface ForgetShared {
  readonly all: readonly CatalogView[];
  /** Of this source, as noted before it was cut short. */
  readonly noted: readonly SharingEntities[];
  /** Durable once it resolves. */
  note(sharing: readonly SharingEntities[]): Promise<void>;
}

export async function forgetInSource(request: ForgetInSource): Promise<ForgottenOfSource> {
  const { context, source, views, key, shared } = request;
  const engine = await context.openEngine();
  try {
    const table = await context.offline.find(`events/${source.name}`);
    const found =
      table === null
        ? null
        : await findForgottenEvents({
            engine,
            snapshot: await table.snapshot(),
            source,
            views: oneOfEachKey(views),
            key,
          });
    const sharing = shared === null ? [] : await noteSharing(request, shared, engine, found);
    const states = await forgetStates(request, found?.ids ?? []);
    if (found !== null) await eraseFromLog(join(context.dataDir, "log", source.name, "0"), found.live);
    if (table !== null) await forgetEvents(engine, table, found!);
    let featureRows = 0;
    for (const view of views) featureRows += await forgetFeatureRows(context, engine, view, [key]);
    for (const view of shared?.all ?? []) {
      const keys = sharing.find((one) => isKeyedAs(view, one))?.keys ?? [];
      if (keys.length > 0) await forgetFeatureRows(context, engine, view, keys);
    }
    const deadLetters = await forgetLetters(request);
    const { events = 0, retractions = 0 } = found ?? {};
    const refolded = shared === null ? 0 : await foldSharingAnew({ ...request, all: shared.all }, engine, sharing);
    return { events, retractions, states, featureRows, deadLetters, refolded };
  } finally {
    await engine.close();
  }
}

async function noteSharing(
  { source, views, key }: ForgetInSource,
  { all, noted, note }: ForgetShared,
  engine: QueryEngine,
  found: ForgottenEvents | null,
): Promise<readonly SharingEntities[]> {
  const { entity } = views[0]!.definition;
  const now = found === null ? [] : await sharingEntities(engine, { source, all }, found, { entity, key });
  const sharing = joinSharing(noted, now);
  await note(sharing);
  return sharing;
}

async function forgetStates(
  { context, online, source, views, key, lastEventTimes }: ForgetInSource,
  ids: readonly string[],
): Promise<number> {
  const building = new Map(allBackfills(online));
  const states = statesOf({ online, source, views, key });
  const stored = states.filter(({ space }) => !isTailSpace(space) && online.get(space, key) !== null);
  const lives = new Map(views.map(({ name }) => [readStoredView(online, name)?.space, lastEventTimes?.get(name)]));
  const totals = stored.flatMap(({ space }) =>
    withoutEntity(online, space, key, lives.get(space), context.clock.now()),
  );
  const notes = views.flatMap(({ name }) => withoutNote(online, name, key));
  const forgottenIds = ids.map((id) => forgottenIdMeta(source.name, id));
  const places = views.flatMap(({ name }) => placeBefore(online, name, building.get(name), key));
  await online.removeStates(states, [...notes, ...places, ...totals, ...forgottenIds]);
  return stored.length;
}

/** Its states, whether or not there are any: also those that are being built, that wait to take another's place, or that have lost theirs. */
export function statesOf({
  online,
  source,
  views,
  key,
}: Pick<ForgetInSource, "online" | "source" | "views" | "key">): readonly StateRead[] {
  const building = new Map(allBackfills(online));
  return views.flatMap((view): StateRead[] => {
    const { name } = view;
    const stored = readStoredView(online, name);
    const built = historyPlace(online, view);
    const spaces = new Set([
      stored?.space ?? stateSpace(name, 0),
      building.get(name)?.space,
      built?.space,
      built?.former,
      tailSpace(source.name, view.definition.entity, view.definition.key),
    ]);
    return [...spaces].flatMap((space) => (space === undefined ? [] : [{ space, key }]));
  });
}

/**
 * The totals of a space once the entity is gone. When its last event was its stored state alone does not say, as there may be
 * events in its tail: where nobody else does, either, the totals go, and are counted again when the view is opened.
 */
function withoutEntity(
  online: LocalOnlineStore,
  space: string,
  key: EntityKey,
  lastEventTime: number | undefined,
  now: number,
): MetaWrite[] {
  if (lastEventTime === undefined) return forgetTotals(online, space);
  const totals = SpaceTotals.open(online, space, now, () => online.scan(space));
  totals.moved(lastEventTime, Number.NEGATIVE_INFINITY);
  totals.grew(-online.get(space, key)!.length);
  return totals.takeWrites(now);
}

/** A backfill that was cut short behind the entity names it: it is to go on behind the one before instead. */
function placeBefore(
  online: LocalOnlineStore,
  view: string,
  backfill: BackfillPlace | undefined,
  key: EntityKey,
): MetaWrite[] {
  if (backfill?.place?.afterKey !== key) return [];
  let afterKey: EntityKey | null = null;
  for (const state of online.scan(backfill.space)) {
    if (state.key === key) break;
    afterKey = state.key;
  }
  const place = afterKey === null ? null : { ...backfill.place, afterKey };
  return [backfillMeta(view, { ...backfill, place })];
}

async function forgetEvents(engine: QueryEngine, table: OfflineTable, { groups }: ForgottenEvents): Promise<void> {
  const all = groups.flatMap(({ offsets }) => offsets);
  const forgetUnnamed = async (): Promise<void> => {
    if (all.length > 0) await discardUnnamed(engine, table, `_offset IN (${all.join(", ")})`);
  };
  // First, as afterwards nothing tells any more which they are.
  await forgetUnnamed();
  await rewriteFiles(table, engine, {
    operation: "FORGET",
    plan: async () => {
      const rewrites = [];
      for (const { files, offsets } of groups) {
        if (offsets.length === 0) continue;
        const isGone = `_offset IN (${offsets.join(", ")})`;
        for (const file of await filesWith(engine, files, isGone))
          rewrites.push({
            files: [file],
            select: `SELECT * FROM ${fileRelation(file)} WHERE NOT (${isGone}) ORDER BY _offset`,
          });
      }
      return rewrites;
    },
  });
  await table.erase(({ tags }) => tags["segment"] === "live");
  // A joiner that was killed meanwhile.
  await forgetUnnamed();
}

/** Of a row of feature rows. */
export function isOfKeys(view: CatalogView, keys: readonly EntityKey[]): string {
  return `${entityKeySql(view.entity.keys)} IN (${keys.map(sqlText).join(", ")})`;
}

async function forgetFeatureRows(
  context: RuntimeContext,
  engine: QueryEngine,
  view: CatalogView,
  keys: readonly EntityKey[],
): Promise<number> {
  const table = await context.offline.find(`features/${view.name}`);
  if (table === null) return 0;
  const isGone = isOfKeys(view, keys);
  const { files } = await table.snapshot();
  const hit = await filesWith(engine, files, isGone);
  let before = 0;
  for (const { rows } of hit) before += rows;
  const { rowsWritten } = await rewriteFiles(table, engine, {
    operation: "FORGET",
    plan: async (snapshot) =>
      (await filesWith(engine, snapshot.files, isGone)).map((file) => ({
        files: [file],
        // A row without a whole key is nobody's.
        select: `SELECT * FROM ${fileRelation(file)} WHERE (${isGone}) IS NOT TRUE ORDER BY ${sqlName("_minute")}`,
      })),
  });
  await table.erase(() => true);
  await discardUnnamed(engine, table, isGone);
  return before - rowsWritten;
}

/** A letter keeps its id, so that no other gets it, and says nothing but that. */
async function forgetLetters(request: ForgetInSource): Promise<number> {
  let forgotten = 0;
  for await (const { folder, name, lines: before, gone } of lettersOf(request)) {
    const acknowledged = gone.map(({ letter }) => String(letter["id"]));
    const lines = [...before];
    for (const { at, letter } of gone) lines[at] = JSON.stringify({ ...letter, message: "forgotten", payload: null });
    // Seen to for good; before what a crash may have torn at the end.
    lines.splice(-1, 0, JSON.stringify({ acknowledged }));
    await replaceDurably(folder, name, Buffer.from(lines.join("\n")));
    forgotten += acknowledged.length;
  }
  return forgotten;
}

export interface FoundLetters {
  readonly folder: string;
  readonly name: string;
  readonly lines: readonly string[];
  readonly gone: readonly { readonly at: number; readonly letter: Record<string, unknown> }[];
}

/** Files with letters whose row has the key, by line. */
export async function* lettersOf({
  context,
  source,
  views,
  key,
}: Pick<ForgetInSource, "context" | "source" | "views" | "key">): AsyncGenerator<FoundLetters> {
  const folder = join(context.dataDir, "dead-letters", source.name);
  const keyings = oneOfEachKey(views).map(({ definition, fold }) => keyFromStored(source, definition.key, fold));
  for (const name of ((await unlessAbsent(folder, readdir(folder))) ?? [])
    .filter((one) => /^\d{12}\.ndjson$/.test(one))
    .sort()) {
    const lines = (await readFile(join(folder, name), "utf8")).split("\n");
    const gone = lines.flatMap((line, at) => {
      const letter = letterOf(line);
      if (letter === null) return [];
      const row = storedRow(source, letter["payload"]);
      return keyings.some(({ keyOf }) => keyOf(row) === key) ? [{ at, letter }] : [];
    });
    if (gone.length > 0) yield { folder, name, lines, gone };
  }
}

function letterOf(line: string): Record<string, unknown> | null {
  try {
    const parsed = JSON.parse(line) as Record<string, unknown> | null;
    return typeof parsed?.["id"] === "string" && parsed["payload"] !== null ? parsed : null;
  } catch {
    return null;
  }
}

/** What can be read of a refused row: columns that are not of their type are null. */
export function storedRow(source: SourceDefinition, payload: unknown): Value[] {
  const given = typeof payload === "object" && payload !== null ? (payload as Record<string, unknown>) : {};
  const stored = source.columns.map(({ name, type }): Value => {
    try {
      return checkValue(Object.hasOwn(given, name) ? given[name] : null, type);
    } catch (error) {
      if (isOnefoldError(error)) return null;
      throw error;
    }
  });
  return [...stored, ...source.derived.map(() => null)];
}
