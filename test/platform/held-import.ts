/**
 * A file whose import holds its source's turn until it is let go: all that changes views or history of the source waits for
 * that, as it does for a long backfill. It is a named pipe until then, which is read from and has no end.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, renameSync, writeFileSync } from "node:fs";

export class HeldImport {
  readonly path: string;
  #pipe: number | null;

  /** `path` ends in .ndjson; the source has no id, so that the file is read to tell it from others before anything else. */
  constructor(path: string) {
    execFileSync("mkfifo", [path]);
    this.path = path;
    // Whoever opens it to read finds somebody who writes.
    this.#pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** The import goes on, and takes in these rows. A second call does nothing. */
  letGo(rows: readonly object[]): void {
    if (this.#pipe === null) return;
    const whole = `${this.path}.whole`;
    writeFileSync(whole, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    renameSync(whole, this.path);
    closeSync(this.#pipe);
    this.#pipe = null;
  }
}
