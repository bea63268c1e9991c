/**
 * Starting a component is not what a test tests. One that hangs at its start, or whose port another took meanwhile, is
 * killed and started anew, in a new folder and on other ports; what was seen of it goes to stderr, so that it is not lost.
 */
const ATTEMPTS = 3;

/** A component did not come up, and might if it is started once more. A wrong configuration is another error. */
export class NotStarted extends Error {
  override readonly name = "NotStarted";
}

/** Calls `start`, which chooses its ports itself, until it has started something, at most three times. Rejects with the last reason. */
export async function startAnew<T>(start: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(attempt);
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
      const isLast = attempt === ATTEMPTS;
      const next = isLast ? "It is given up." : "It is started anew.";
      process.stderr.write(`\n*** ATTEMPT ${attempt} OF ${ATTEMPTS} FAILED: ${error.message}\n*** ${next}\n\n`);
      if (isLast) throw error;
    }
  }
}
