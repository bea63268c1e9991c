/**
 * An import into a source while nothing else changes its views or history: the files' events are history or nothing of
 * them is, and then its views are brought up to them.
 */
import { asOnefoldError, messageOf, OnefoldError } from "../base/errors.ts";
import { importHistory } from "../ingest/history-import.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import { checkNotImported, rememberImported } from "./imported-files.ts";
import { historyTakenUp, rememberImporting } from "./known-history.ts";
import type { PushGate } from "./push-gate.ts";
import type { ImportOptions, ImportReport, RuntimeContext } from "./runtime-context.ts";
import type { SourceParts } from "./source-parts.ts";

export interface ImportingSource {
  readonly context: RuntimeContext;
  readonly online: LocalOnlineStore;
  readonly parts: SourceParts;
  /** Opened for pushes again as soon as they need not wait. */
  readonly gate: PushGate;
  /** To be called where it fails, and what it was to import may be in the archive: views lack that then. */
  viewsMayLack(): void;
}

export async function importNow(
  { context, online, parts, gate, viewsMayLack }: ImportingSource,
  files: readonly string[],
  options: ImportOptions,
): Promise<ImportReport> {
  const { onProgress, signal, again = false, ...rest } = options;
  const engine = await context.openEngine();
  const interrupt = (): void => engine.interrupt();
  signal?.addEventListener("abort", interrupt);
  let mayBeCommitted = false;
  try {
    const { name, id } = parts.source;
    // Of a table that is refused nothing is imported: nothing has begun then.
    const there = await parts.archive.files();
    // What a table restored to before an import has no more must not be in the states, where what is imported now takes its place.
    await parts.bringUp(
      parts.views().filter((view) => parts.builder.isAhead(view, there)),
      onProgress,
    );
    const hashes = id === undefined ? await checkNotImported(online, engine, name, files, again) : [];
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
      holdPushes: async () => {
        await gate.close();
        // What is committed from here on may be there and not taken up, whatever fails.
        await rememberImporting(online, name);
        mayBeCommitted = true;
      },
      ...(onProgress === undefined ? {} : { onProgress }),
    })
      .then(async (imported) => {
        if (hashes.length > 0) await rememberImported(online, name, hashes, context.clock.now());
        return imported;
      })
      .catch(async (error: unknown) => {
        if (historyTakenUp(online, name) === null)
          await parts.takeUpHistory().catch((rest: unknown) => {
            throw bothErrors(error, rest);
          });
        throw error;
      });
    await parts.takeUpHistory();
    if (parts.pipeline.log.nextOffset > 0) gate.open();
    await parts.bringUp(parts.views(), onProgress);
    return report;
  } catch (error) {
    if (mayBeCommitted || isTableRefused(error)) viewsMayLack();
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    await engine.close();
  }
}

/** An import that failed, and so did taking up what it may have committed: with the first's code. */
function bothErrors(error: unknown, rest: unknown): OnefoldError {
  const { code, message, where, hint, candidates } = asOnefoldError(error);
  const both = `${message}; and what it may have left in the archive cannot be taken up: ${messageOf(rest)}`;
  return new OnefoldError(code, both, {
    ...(where === undefined ? {} : { where }),
    ...(hint === undefined ? {} : { hint }),
    ...(candidates === undefined ? {} : { candidates }),
    cause: new AggregateError([error, rest], both),
  });
}
