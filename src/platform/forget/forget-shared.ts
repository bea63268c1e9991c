/**
 * What the events of a forgotten entity were to others: the entities of other views that they were folded into, and these
 * folded anew without them.
 *
 * Which they are is known only while the events are in the archive. So it is noted before anything is changed, and what is
 * noted is folded anew once everything else is: however often that is begun, it comes to the same.
 */
import { readStoredView } from "../../ingest/stored-view.ts";
import { foldEntities } from "../../ingest/entity-fold.ts";
import { forgetTotals } from "../../ingest/space-totals.ts";
import { tailSpace } from "../../ingest/tail-group.ts";
import { openEventArchive } from "../../offline-store/delta-event-archive.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { LocalOnlineStore, StateRead, StateWrite } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { backfillMeta, readBackfill } from "../backfill-place.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { builtMetaName, historyPlace } from "../view-builder.ts";
import type { CatalogView } from "../view-catalog.ts";
import { entitiesOf, type ForgottenEvents } from "./forgotten-events.ts";

/** Entities that share events with the one that is forgotten, in one way in which views are keyed. */
export interface SharingEntities {
  readonly entity: string;
  readonly keyColumns: readonly string[];
  readonly keys: readonly EntityKey[];
}

export interface SharedSource {
  readonly context: RuntimeContext;
  readonly online: LocalOnlineStore;
  readonly source: SourceDefinition;
  /** All views on the source. */
  readonly all: readonly CatalogView[];
}

/** One view of each way in which these are keyed. */
export function oneOfEachKey(views: readonly CatalogView[]): CatalogView[] {
  return [...new Map(views.map((view) => [groupOf(view), view])).values()];
}

export function isKeyedAs(view: CatalogView, { entity, keyColumns }: SharingEntities): boolean {
  return groupOf(view) === JSON.stringify([entity, keyColumns]);
}

function groupOf({ definition }: CatalogView): string {
  return JSON.stringify([definition.entity, definition.key]);
}

/** Whoever else the events are of. */
export async function sharingEntities(
  engine: QueryEngine,
  { source, all }: Pick<SharedSource, "source" | "all">,
  { present: { files, offsets } }: ForgottenEvents,
  forgotten: { readonly entity: string; readonly key: EntityKey },
): Promise<SharingEntities[]> {
  const sharing: SharingEntities[] = [];
  for (const view of oneOfEachKey(all)) {
    const { entity, key: keyColumns } = view.definition;
    const keys = await entitiesOf(engine, { source, view, files, offsets });
    const others = keys.filter((key) => entity !== forgotten.entity || key !== forgotten.key);
    if (others.length > 0) sharing.push({ entity, keyColumns, keys: others });
  }
  return sharing;
}

/** Both together: what was noted before may be all that is still known. */
export function joinSharing(
  noted: readonly SharingEntities[],
  found: readonly SharingEntities[],
): readonly SharingEntities[] {
  const groups = new Map<string, SharingEntities>();
  for (const one of [...noted, ...found]) {
    const name = JSON.stringify([one.entity, one.keyColumns]);
    const keys = [...new Set([...(groups.get(name)?.keys ?? []), ...one.keys])].sort();
    groups.set(name, { ...one, keys });
  }
  return [...groups.values()];
}

/** Their states written whole as the fold of what the archive has now; how many there were. */
export async function foldSharingAnew(
  { context, online, source, all }: SharedSource,
  engine: QueryEngine,
  sharing: readonly SharingEntities[],
): Promise<number> {
  if (sharing.length === 0) return 0;
  const files = await (await openEventArchive(context.offline, engine, source)).files();
  let folded = 0;
  for (const group of sharing) {
    const { entity, keyColumns, keys } = group;
    const writes: StateWrite[] = [];
    const gone: StateRead[] = keys.map((key) => ({ space: tailSpace(source.name, entity, keyColumns), key }));
    const metas = [];
    for (const view of all.filter((one) => isKeyedAs(one, group))) {
      const stored = readStoredView(online, view.name);
      if (stored !== null) {
        const { space, epoch, position } = stored;
        const asked = { source, view, engine, files, keys, beforeOffset: position };
        for (const [key, state] of await foldEntities(asked)) {
          if (state.lastOffset === Number.NEGATIVE_INFINITY) gone.push({ space, key });
          else writes.push({ space, key, epoch, offset: state.lastOffset, bytes: view.fold.encode(state) });
        }
        // When their last events were, tails said, too: all are counted again when the view is opened.
        metas.push(...forgetTotals(online, space));
      }
      metas.push(...unfinished(online, view));
    }
    await online.commitAlone(writes, metas);
    await online.removeStates(gone, []);
    folded += writes.length;
  }
  return folded;
}

/** A backfill that was cut short, or waits for its place, has the events in it: it begins anew. */
function unfinished(online: LocalOnlineStore, view: CatalogView) {
  const built = historyPlace(online, view);
  const stored = readStoredView(online, view.name);
  const waits = built !== null && built.space !== undefined && built.space !== stored?.space;
  return [
    ...(waits ? [{ name: builtMetaName(view.name), bytes: null }] : []),
    ...(readBackfill(online, view.name) === null ? [] : [backfillMeta(view.name, null)]),
  ];
}
