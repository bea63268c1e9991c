/**
 * Files that were imported into a source whose events have no id: importing one of them again would count
 * every row twice, and nothing in the rows could tell. Where events have ids, ids tell, and this is not asked.
 *
 * Kept as SHA-256 in the meta `imported/<source>`, written after the import's commit: a crash in between loses
 * the warning, never a row.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import { expandPaths } from "../ingest/import-staging.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";

/** Time of the first import by hash, RFC 3339. */
export type ImportedFiles = Readonly<Record<string, string>>;

/** Hashes the files. Throws `IMPORT_REPEATED` where one was imported before, unless `again`. */
export async function checkNotImported(
  store: LocalOnlineStore,
  engine: QueryEngine,
  source: string,
  files: readonly string[],
  again: boolean,
): Promise<readonly string[]> {
  const known = importedFiles(store, source);
  const hashes: string[] = [];
  for (const path of await expandPaths(engine, files)) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
    const digest = hash.digest("hex");
    const at = known[digest];
    if (at !== undefined && !again) {
      throw new OnefoldError("IMPORT_REPEATED", `this very file was imported into ${source} at ${at}`, {
        where: path,
        hint: "its events have no id, so they would count twice: import with --again (`again: true`) if that is meant, or give the source an id column",
      });
    }
    hashes.push(digest);
  }
  return hashes;
}

export async function rememberImported(
  store: LocalOnlineStore,
  source: string,
  hashes: readonly string[],
  now: Micros,
): Promise<void> {
  const at = formatMicros(now);
  const known: ImportedFiles = {
    ...Object.fromEntries(hashes.map((hash) => [hash, at])),
    ...importedFiles(store, source),
  };
  await store.commitAlone([], [{ name: metaName(source), bytes: new Uint8Array(Buffer.from(JSON.stringify(known))) }]);
}

function importedFiles(store: LocalOnlineStore, source: string): ImportedFiles {
  const bytes = store.getMeta(metaName(source));
  return bytes === null ? {} : (JSON.parse(Buffer.from(bytes).toString("utf8")) as ImportedFiles);
}

function metaName(source: string): string {
  return `imported/${source}`;
}
