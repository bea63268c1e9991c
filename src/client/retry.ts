/**
 * Trying again what failed in passing, after a pause that doubles each time and is drawn at random up to there,
 * so that clients that failed together do not come back together ("Exponential Backoff And Jitter", AWS, 2015:
 * full jitter).
 */
import { setTimeout as pause } from "node:timers/promises";
import { isOnefoldError, type OnefoldError } from "../base/errors.ts";

export interface RetryOptions {
  /** How often it is tried again. */
  readonly retries: number;
  /** Longest pause before the first time, and before any. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly mayRetry: (error: OnefoldError) => boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/** What `work` resolves to; throws its last error, or the signal's reason. */
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { retries, firstPauseMs, longestPauseMs, mayRetry, random, signal } = options;
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= retries || !isOnefoldError(error) || !mayRetry(error)) throw error;
      const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** attempt);
      await pause(random() * longest, undefined, { signal }).catch(() => {
        throw signal.reason;
      });
    }
  }
}
