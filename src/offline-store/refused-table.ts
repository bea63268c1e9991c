/**
 * Offline tables that are refused for now, as another engine has written to one or its log is damaged. Whoever needs one is refused
 * with the table's error; all others go on, and so does its own source with all that it does without the table.
 */
import { isOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { Column } from "../schema/value.ts";
import type { ArchiveFiles, HistoryArchive, HistoryWrite } from "./delta-event-archive.ts";
import type { LiveEvents } from "./event-archive.ts";

/** Whether the table itself is what is wrong, and not what was asked of it, or the disk. */
export function isTableRefused(error: unknown): error is OnefoldError {
  return isOnefoldError(error) && error.code === "TABLE_INVALID";
}

/** Of what waits until its table is restored; throws what is no refusal. */
export function ignoreRefusal(error: unknown): undefined {
  if (!isTableRefused(error)) throw error;
}

/**
 * The event archive of a source, opened when something is first asked of it, and anew behind a refusal: what another engine has done to
 * the table, and undone again, may be of another schema than what was known of it.
 */
export class RestorableArchive implements HistoryArchive {
  readonly columns: readonly Column[];
  readonly #open: () => Promise<HistoryArchive>;
  #opened: Promise<HistoryArchive> | null = null;
  #refusal: OnefoldError | null = null;

  /** `columns`: those that it has once it is open. */
  constructor(columns: readonly Column[], open: () => Promise<HistoryArchive>) {
    this.columns = columns;
    this.#open = open;
  }

  /** What the table was refused with when it was last asked for anything, or null. */
  get refusal(): OnefoldError | null {
    return this.#refusal;
  }

  files(epoch?: number): Promise<ArchiveFiles> {
    return this.#ask((archive) => archive.files(epoch));
  }

  appendLive(events: LiveEvents): Promise<void> {
    return this.#ask((archive) => archive.appendLive(events));
  }

  appendHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    return this.#ask((archive) => archive.appendHistory(files, rows));
  }

  replaceHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    return this.#ask((archive) => archive.replaceHistory(files, rows));
  }

  async #ask<T>(ask: (archive: HistoryArchive) => Promise<T>): Promise<T> {
    const opened = (this.#opened ??= this.#open());
    let archive: HistoryArchive | null = null;
    try {
      archive = await opened;
      const answer = await ask(archive);
      this.#refusal = null;
      return answer;
    } catch (error) {
      if (isTableRefused(error)) this.#refusal = error;
      const isLost = archive === null || isTableRefused(error);
      if (isLost && this.#opened === opened) this.#opened = null;
      throw error;
    }
  }
}
