/** The same work on many things, some of them at once. */

/**
 * Does `work` on each of `things`, begun in their order and at most `count` at a time. Where one fails no other is begun; it rejects
 * with the first failure once all that were begun have ended.
 */
export async function atOnce<T>(count: number, things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
  let next = 0;
  let isFailed = false;
  const one = async (): Promise<void> => {
    while (!isFailed && next < things.length) {
      try {
        await work(things[next++]!);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(count, things.length) }, one));
  const failed = ended.find((each) => each.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
