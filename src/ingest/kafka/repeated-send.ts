/**
 * Writing records once more where the broker did not say that it has them: it may have, or some of them.
 *
 * Whoever reads drops the second ones. But a record key stands for one record: of two with one key Kafka drops the first
 * when the topic is compacted, which is the one that was taken. So each gets another key when it is written again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { RecordKeys } from "./record-keys.ts";
import type { NewRecord } from "./records.ts";

const ATTEMPTS = 4;
const PAUSE_MS = 300;

export interface Sending {
  write(records: readonly NewRecord[]): Promise<void>;
  /** Whether writing again may help. */
  mayHelp(error: unknown): boolean;
  /** Called before it is written again. */
  onRepeat(): void;
}

export class RepeatedSend {
  readonly #keys = new RecordKeys();

  /** Rejects as the last attempt did. */
  async send(
    records: readonly NewRecord[],
    { write, mayHelp, onRepeat }: Sending,
    pauseMs: number = PAUSE_MS,
  ): Promise<void> {
    let written = records;
    for (let attempt = 1; ; attempt++) {
      try {
        return await write(written);
      } catch (error) {
        if (attempt === ATTEMPTS || !mayHelp(error)) throw error;
      }
      await sleep(pauseMs);
      onRepeat();
      written = records.map((record) => (record.hasOwnKey === true ? { ...record, key: this.#keys.next() } : record));
    }
  }
}
