/**
 * What there is to say of a polled source, in a file beside its state, so that who looks at the folder sees it too.
 * Nothing depends on it: it is replaced after every poll, not synced, and a source whose status cannot be read or
 * written is polled all the same.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { NotedFailure } from "../noted-failure.ts";

export interface PollStatus {
  readonly source: string;
  /** Microseconds, as all times here; null where there was none. */
  readonly lastPollAt: number | null;
  readonly lastSuccessAt: number | null;
  /** Rows of the last poll that succeeded, and those of them that were new. */
  readonly lastRows: number;
  readonly lastAccepted: number;
  /** Polls that failed since one succeeded. */
  readonly failures: number;
  readonly lastError: NotedFailure | null;
  /** Null while nobody polls. */
  readonly nextDueAt: number | null;
  /** The API does not want to be asked before. */
  readonly notBefore: number | null;
  /** As it is sent next; null where nothing is. */
  readonly cursor: string | null;
}

export function neverPolled(source: string): PollStatus {
  return {
    source,
    lastPollAt: null,
    lastSuccessAt: null,
    lastRows: 0,
    lastAccepted: 0,
    failures: 0,
    lastError: null,
    nextDueAt: null,
    notBefore: null,
    cursor: null,
  };
}

/** As it was last written; that of a source never polled where there is none. */
export async function readPollStatus(dataDir: string, source: string): Promise<PollStatus> {
  try {
    const status = JSON.parse(await readFile(statusFile(dataDir, source), "utf8")) as Partial<PollStatus> | null;
    return { ...neverPolled(source), ...status };
  } catch {
    return neverPolled(source);
  }
}

export async function writePollStatus(dataDir: string, status: PollStatus): Promise<void> {
  const file = statusFile(dataDir, status.source);
  const pending = `${file}.pending`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(pending, `${JSON.stringify(status)}\n`);
    await rename(pending, file);
  } catch {
    // The next poll writes it again.
  }
}

function statusFile(dataDir: string, source: string): string {
  return join(dataDir, "polls", `${source}.status.json`);
}
