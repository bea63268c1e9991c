/**
 * Notes of rows that runs of `forget` have left which were cut short (`forgotten-notes.ts`): taken away once they say nothing any more.
 *
 * A note goes once none of its rows is in a table, and a day after it was written. While a row is there it must not count, whoever
 * forgets it in the end; and a run that is under way has written down rows that a worker is yet to archive. Offsets mean
 * something else where a topic is made anew: a note that stayed for ever would take rows of that for forgotten ones.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { isOnefoldError } from "../../base/errors.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { parseOffsets } from "../../ingest/kafka/forget-records.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import { PARTITION } from "../../offline-store/partitioned-events.ts";
import { diskTableStorage } from "../../offline-store/table-storage.ts";
import { atPlaces } from "./forgotten-rows.ts";

/** Longer than a run waits for anything. */
const KEPT_MS = 24 * 3_600_000;

interface Tables {
  readonly engine: QueryEngine;
  readonly tables: Pick<OfflineStore, "find">;
}

/** Also files of notes that never got their names. What cannot be read stays, and is told of by who needs it. */
export async function dropLeftRows(house: Tables, folder: string): Promise<void> {
  const files = await diskTableStorage.files(folder);
  if (files.length === 0) return;
  const before = (await diskTableStorage.clockMillis(folder)) - KEPT_MS;
  for (const { path, writtenMillis } of files) {
    if (writtenMillis >= before) continue;
    const isNote = path.endsWith(".json") && !basename(path).startsWith(".");
    const offsets = isNote ? await offsetsIn(path) : new Map<string, ReadonlySet<number>>();
    if (offsets === null || (await areThere(house, offsets))) continue;
    await diskTableStorage.remove(path);
  }
}

/** By `topic/partition`; null where they cannot be read. */
async function offsetsIn(path: string): Promise<ReadonlyMap<string, ReadonlySet<number>> | null> {
  const text = await unlessAbsent(path, readFile(path, "utf8"));
  if (text === null) return null;
  try {
    const each = Object.entries(JSON.parse(text) as object);
    const all = new Map(each.map(([partition, offsets]) => [partition, new Set(parseOffsets(String(offsets)))]));
    return [...all.values()].some((offsets) => offsets.has(Number.NaN)) ? null : all;
  } catch {
    return null;
  }
}

async function areThere({ engine, tables }: Tables, all: ReadonlyMap<string, ReadonlySet<number>>): Promise<boolean> {
  for (const [name, offsets] of all) {
    const cut = name.lastIndexOf("/");
    const condition = atPlaces(new Map([[Number(name.slice(cut + 1)), offsets]]));
    const table = condition === null ? null : await tables.find(`events/${name.slice(0, cut)}`);
    const { files } = (await table?.snapshot()) ?? { files: [] };
    if (files.length === 0) continue;
    const relation = eventRelation(files, [PARTITION]);
    const found = await engine
      .rows(`SELECT 1 AS found FROM ${relation} WHERE ${condition} LIMIT 1`)
      .catch((error: unknown) => {
        // Written anew meanwhile: another run looks again.
        if (isOnefoldError(error) && error.code === "TABLE_VERSION_GONE") return [null];
        throw error;
      });
    if (found.length > 0) return true;
  }
  return false;
}
