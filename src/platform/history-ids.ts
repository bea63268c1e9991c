/**
 * Event ids of imported history, remembered beside the live ones, so that pushing an event that history
 * already holds is a duplicate too.
 *
 * Only those within the source's `dedupeWithin` of the newest history are kept: an older one would count as
 * new even if it had come live. How far they are remembered stands in the meta `history-ids/<source>`, until an import: what it
 * adds may end where history that was there before it did, as its table was put back meanwhile, and have other ids.
 */
import type { SourceDefinition } from "../define/definition.ts";
import { eventIdMeta, eventIdTime } from "../ingest/event-ids.ts";
import { dedupeWithinOf } from "../ingest/timeliness.ts";
import type { ArchiveFiles } from "../offline-store/delta-event-archive.ts";
import { eventRelation } from "../offline-store/event-relation.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";
import type { RuntimeContext } from "./runtime-context.ts";

/** Repeating it is harmless; resolves at once where nothing was imported since the last time. */
export async function rememberHistoryIds(
  context: RuntimeContext,
  store: LocalOnlineStore,
  source: SourceDefinition,
  files: ArchiveFiles,
): Promise<void> {
  const name = markName(source.name);
  const mark = JSON.stringify([files.epoch, files.historyEnd]);
  const known = store.getMeta(name);
  if (source.id === undefined || files.history.length === 0) return;
  if (known !== null && Buffer.from(known).toString("utf8") === mark) return;
  const engine = await context.openEngine();
  try {
    const horizon = files.lastHistoryKnownTime - dedupeWithinOf(source);
    const sql = `SELECT _id, epoch_us(_known_time)::DOUBLE FROM ${eventRelation(files.history, [])}
      WHERE _id IS NOT NULL AND epoch_us(_known_time) >= ${horizon} ORDER BY _id`;
    for await (const { rowCount, columns } of engine.stream(sql, [{ as: "text" }, { as: "number" }])) {
      const metas = Array.from({ length: rowCount }, (_, i): MetaWrite => {
        return eventIdMeta(source.name, columns[0]![i] as string, columns[1]![i] as number);
      });
      // An id that came live once more, past the horizon, is known since then: history does not make it older.
      const newer = metas.filter(({ name: id, bytes }) => {
        const known = store.getMeta(id);
        return known === null || eventIdTime(known) < eventIdTime(bytes!);
      });
      await store.commitAlone([], newer);
    }
  } finally {
    await engine.close();
  }
  await store.commitAlone([], [{ name, bytes: new Uint8Array(Buffer.from(mark)) }]);
}

/** For a commit before history is added to: its ids are read again then. */
export function forgetIdsMark(source: string): MetaWrite {
  return { name: markName(source), bytes: null };
}

function markName(source: string): string {
  return `history-ids/${source}`;
}
