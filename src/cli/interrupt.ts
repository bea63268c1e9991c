/** Ctrl-C cancels long work in good order, and SIGTERM, as service managers send it; a second one ends the process at once. */

export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const cancel = (): void => controller.abort();
  process.once("SIGINT", cancel).once("SIGTERM", cancel);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", cancel).off("SIGTERM", cancel);
  }
}
