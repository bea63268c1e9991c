/**
 * A reader that has read enough, as `head`, closes the pipe. That is no failure: what is printed from then on is dropped, and
 * the work goes on to its end, so that what it writes elsewhere (a file of --out, the data folder) is whole, and the exit
 * code is the work's own. SIGPIPE, which ends other tools there with 141, Node ignores. What does nothing but print, as
 * `get --entities` without --out and `dev`, ends early, with 0.
 */
import { once } from "node:events";

const closing = new AbortController();
let isTolerated = false;

/** Aborted when stdout is written to and nobody reads it any more. */
export const stdoutClosed: AbortSignal = closing.signal;

/** To be called before anything is printed. */
export function tolerateClosedOutput(): void {
  // Tests run several command lines in one process.
  if (isTolerated) return;
  isTolerated = true;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (stream === process.stdout) closing.abort();
    });
  }
}

/** Ends work whose output nobody reads. */
export class OutputClosed extends Error {}

/** Prints at the reader's pace. Throws `OutputClosed`. */
export async function printPaced(text: string): Promise<void> {
  if (!stdoutClosed.aborted && !process.stdout.write(text)) {
    await once(process.stdout, "drain", { signal: stdoutClosed }).catch(() => undefined);
  }
  if (stdoutClosed.aborted) throw new OutputClosed("nobody reads stdout");
}
