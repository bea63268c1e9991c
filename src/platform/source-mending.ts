/**
 * Opens a source anew that has stopped for what passes: a full disk, once there is room; a table that is refused, once it can be
 * read. Looked for once a second, and at a table once in five, as reading its log is work.
 */
import { hasRoom } from "../base/disk-room.ts";
import type { OnefoldError } from "../base/errors.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";

const TICKS_PER_LOOK_AT_TABLE = 5;

export interface MendedSource {
  readonly dataDir: string;
  /** Throws while the table of its events cannot be read. */
  readTable(): Promise<unknown>;
  /** False once the source is to be opened no more. */
  isWanted(): boolean;
  /** Fails with nothing: what the source has stopped for then is looked at the next time. */
  openAnew(): Promise<void>;
}

export class SourceMending {
  readonly #source: MendedSource;
  #isUnderWay = false;
  #ticks = 0;

  constructor(source: MendedSource) {
    this.#source = source;
  }

  /** To be called once a second with what keeps the source from working, or null. */
  tick(stopped: OnefoldError | null): void {
    if (stopped === null || this.#isUnderWay) return;
    if (stopped.code === "DISK_FULL") void this.#mend(() => hasRoom(this.#source.dataDir));
    else if (isTableRefused(stopped) && this.#ticks++ % TICKS_PER_LOOK_AT_TABLE === 0) {
      void this.#mend(() =>
        this.#source.readTable().then(
          () => true,
          () => false,
        ),
      );
    }
  }

  async #mend(hasPassed: () => Promise<boolean>): Promise<void> {
    this.#isUnderWay = true;
    try {
      if ((await hasPassed()) && this.#source.isWanted()) await this.#source.openAnew();
    } finally {
      this.#isUnderWay = false;
    }
  }
}
