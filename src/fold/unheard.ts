/**
 * Promises that users' functions give where a value is wanted. They are no values, and judged so; but nobody
 * waits for them, and one that rejects would end the whole process.
 */

/** Lets a promise reject without anyone hearing of it. */
export function leaveUnheard(value: unknown): void {
  if (value instanceof Promise) value.catch(() => undefined);
}
