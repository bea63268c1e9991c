/**
 * An import into a source while nothing else changes its views or history: the files' events are history or nothing of
 * them is, and then its views are brought up to them.
 */
import { importHistory } from "../ingest/history-import.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import { checkNotImported, rememberImported } from "./imported-files.ts";
import { rememberImporting } from "./known-history.ts";
import type { PushGate } from "./push-gate.ts";
import type { ImportOptions, ImportReport, RuntimeContext } from "./runtime-context.ts";
import type { SourceParts } from "./source-parts.ts";

export interface ImportingSource {
  readonly context: RuntimeContext;
  readonly online: LocalOnlineStore;
  readonly parts: SourceParts;
  /** Opened for pushes again as soon as they need not wait. */
  readonly gate: PushGate;
}

export async function importNow(
  { context, online, parts, gate }: ImportingSource,
  files: readonly string[],
  options: ImportOptions,
): Promise<ImportReport> {
  const { onProgress, signal, again = false, ...rest } = options;
  const engine = await context.openEngine();
  const interrupt = (): void => engine.interrupt();
  signal?.addEventListener("abort", interrupt);
  try {
    const { name, id } = parts.source;
    // Of a table that is refused nothing is imported: nothing has begun then.
    await parts.archive.files();
    const hashes = id === undefined ? await checkNotImported(online, engine, name, files, again) : [];
    await rememberImporting(online, name);
    const {
      before: _before,
      after: _after,
      ...report
    } = await importHistory({
      ...rest,
      source: parts.source,
      views: parts.views(),
      files,
      archive: parts.archive,
      log: parts.pipeline.log,
      engine,
      clock: context.clock,
      deadLetters: parts.pipeline.deadLetters,
      holdPushes: () => gate.close(),
      ...(onProgress === undefined ? {} : { onProgress }),
    }).catch(async (error: unknown) => {
      await parts.takeUpHistory().catch(() => undefined);
      throw error;
    });
    if (hashes.length > 0) await rememberImported(online, name, hashes, context.clock.now());
    await parts.takeUpHistory();
    if (parts.pipeline.log.nextOffset > 0) gate.open();
    await parts.bringUp(parts.views(), onProgress);
    return report;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    await engine.close();
  }
}
