/** Work that is done again and again, each time so many milliseconds after it was done; it keeps no process alive. */
export function repeat(millis: number, work: () => Promise<void>): { stop(): Promise<void> } {
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(() => {
      running = work().finally(() => {
        if (!isStopped) next();
      });
    }, millis).unref();
  };
  next();
  return {
    /** Resolves once work under way is done. */
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
