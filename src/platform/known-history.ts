/**
 * What pushes to a source go by of its history, beside the archive that has it: up to when it is known, and that its ids are
 * remembered. So a source can be opened while its archive's table is refused, as long as all history that there is was taken up.
 *
 * Stands in the meta `known-history/<source>`; an import says there that it has begun before it commits, since what it commits may
 * be in the archive and not taken up when the process ends.
 */
import type { LocalOnlineStore, MetaWrite } from "../online-store/online-store.ts";
import { forgetIdsMark } from "./history-ids.ts";

interface KnownHistory {
  /** Known time of its last event, microseconds; null without history. */
  readonly endsAt: number | null;
  readonly isImporting?: true;
}

/** Known time of the last event of history, -Infinity where there is none; null where there may be history that was not taken up. */
export function historyTakenUp(store: Pick<LocalOnlineStore, "getMeta">, source: string): number | null {
  const known = read(store, source);
  if (known === null || known.isImporting === true) return null;
  return known.endsAt ?? Number.NEGATIVE_INFINITY;
}

/** Called once all history that there is was taken up; `endsAt` as `historyTakenUp` gives it then. */
export async function rememberTakenUp(store: LocalOnlineStore, source: string, endsAt: number): Promise<void> {
  if (historyTakenUp(store, source) === endsAt) return;
  await write(store, source, { endsAt: Number.isFinite(endsAt) ? endsAt : null });
}

/** Called before history is committed. */
export function rememberImporting(store: LocalOnlineStore, source: string): Promise<void> {
  const known: KnownHistory = { endsAt: read(store, source)?.endsAt ?? null, isImporting: true };
  return write(store, source, known, [forgetIdsMark(source)]);
}

function read(store: Pick<LocalOnlineStore, "getMeta">, source: string): KnownHistory | null {
  const bytes = store.getMeta(metaName(source));
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as KnownHistory);
}

async function write(
  store: LocalOnlineStore,
  source: string,
  known: KnownHistory,
  others: readonly MetaWrite[] = [],
): Promise<void> {
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(known)));
  await store.commitAlone([], [{ name: metaName(source), bytes }, ...others]);
}

function metaName(source: string): string {
  return `known-history/${source}`;
}
