/** What there is of an entity in one source: as `forget-source.ts` would remove it. Changes nothing. */
import { isTailSpace } from "../../ingest/tail-group.ts";
import { filesWith } from "../../offline-store/table-rewrite.ts";
import type { LocalOnlineStore } from "../../online-store/online-store.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { CatalogView } from "../view-catalog.ts";
import { type ForgetPlace, rowsWhere } from "./forget-places.ts";
import { isKeyedAs, oneOfEachKey, sharingEntities, type SharingEntities } from "./forget-shared.ts";
import { isOfKeys, lettersOf, statesOf } from "./forget-source.ts";
import { findForgottenEvents, type ForgottenEvents } from "./forgotten-events.ts";

export interface PreviewInSource {
  readonly context: RuntimeContext;
  readonly online: LocalOnlineStore;
  readonly source: SourceDefinition;
  /** The entity's views on the source. */
  readonly views: readonly CatalogView[];
  /** All views on the source, where others are folded from the events; null where there are none. */
  readonly all: readonly CatalogView[] | null;
  readonly key: EntityKey;
}

export interface PreviewOfSource {
  readonly places: readonly ForgetPlace[];
  /** Others that have its events in them. */
  readonly sharing: readonly SharingEntities[];
}

/** Everything pushed is in the tables by then. */
export async function previewInSource(request: PreviewInSource): Promise<PreviewOfSource> {
  const { context, source, views, all, key } = request;
  const { entity } = views[0]!.definition;
  const engine = await context.openEngine();
  try {
    const table = await context.offline.find(`events/${source.name}`);
    const snapshot = await table?.snapshot();
    const found =
      snapshot === undefined
        ? null
        : await findForgottenEvents({ engine, snapshot, source, views: oneOfEachKey(views), key });
    const sharing =
      found === null || all === null ? [] : await sharingEntities(engine, { source, all }, found, { entity, key });
    const rows = views.map((view) => ({ view, keys: [key] }));
    for (const view of all ?? []) {
      const keys = sharing.find((one) => isKeyedAs(view, one))?.keys ?? [];
      if (keys.length > 0) rows.push({ view, keys: [...keys] });
    }
    const places = [
      ...(found === null ? [] : await eventsAt(engine, source.name, found)),
      ...statesAt(request, sharing),
      ...(await Promise.all(rows.map(({ view, keys }) => featureRowsAt(context, engine, view, keys)))),
      await lettersAt(request),
    ];
    return { places, sharing };
  } finally {
    await engine.close();
  }
}

async function eventsAt(
  engine: QueryEngine,
  source: string,
  { live, groups, ids, retractions }: ForgottenEvents,
): Promise<readonly ForgetPlace[]> {
  let rows = 0;
  let bytes = 0;
  for (const { files, offsets } of groups) {
    if (offsets.length === 0) continue;
    rows += offsets.length;
    for (const file of await filesWith(engine, files, `_offset IN (${offsets.join(", ")})`)) bytes += file.bytes;
  }
  return [
    { where: `log/${source}`, what: "events", count: live.size - retractions, bytes: null },
    { where: `log/${source}`, what: "retractions", count: retractions, bytes: null },
    { where: `offline/events/${source}`, what: "rows", count: rows, bytes },
    { where: "online", what: `event ids of ${source}`, count: ids.length, bytes: null },
  ];
}

function statesAt(request: PreviewInSource, sharing: readonly SharingEntities[]): readonly ForgetPlace[] {
  const { online, source, key } = request;
  const states = statesOf(request).flatMap(({ space }) => {
    const state = isTailSpace(space) ? null : online.get(space, key);
    return state === null ? [] : [state];
  });
  const bytes = states.reduce((sum, { length }) => sum + length, 0);
  return [
    { where: "online", what: `states on ${source.name}`, count: states.length, bytes },
    ...sharing.map(({ entity, keys }) => {
      return { where: "online", what: `${entity} entities to be folded anew`, count: keys.length, bytes: null };
    }),
  ];
}

async function featureRowsAt(
  { offline }: RuntimeContext,
  engine: QueryEngine,
  view: CatalogView,
  keys: readonly EntityKey[],
): Promise<ForgetPlace> {
  const where = `offline/features/${view.name}`;
  const table = await offline.find(`features/${view.name}`);
  if (table === null) return { where, what: "rows", count: 0, bytes: 0 };
  return { where, what: "rows", ...(await rowsWhere(engine, (await table.snapshot()).files, isOfKeys(view, keys))) };
}

async function lettersAt(request: PreviewInSource): Promise<ForgetPlace> {
  let count = 0;
  let bytes = 0;
  for await (const { lines, gone } of lettersOf(request)) {
    count += gone.length;
    for (const { at } of gone) bytes += Buffer.byteLength(lines[at]!) + 1;
  }
  return { where: `dead-letters/${request.source.name}`, what: "dead letters", count, bytes };
}
