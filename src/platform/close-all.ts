/** Lets go of what was opened, the last first. */

/** Closes all of them, whichever fails; then rejects with the first failure. */
export async function closeInReverse(closers: readonly (() => Promise<void>)[]): Promise<void> {
  let failure: unknown;
  for (const close of closers.toReversed()) {
    await close().catch((error: unknown) => {
      failure ??= error;
    });
  }
  if (failure !== undefined) throw failure;
}
