/** Waiting: for the next turn, and for what others will say. */

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** As `nextTurn`, once there was a look for what others have sent: what the network has begun goes on before that by `setImmediate` alone. */
export function turnBehindOthers(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

export function deferred(): { promise: Promise<void>; resolve(): void; reject(error: unknown): void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Whether anyone waits is up to the other pushes.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
