/** A case of what a store must do, for any test runner, and what cases write and look at. */
import type { OnlineStore, StateWrite } from "../online-store/online-store.ts";

/** Throws when the store does not do what it must. */
export interface ConformanceCase<S extends OnlineStore = OnlineStore> {
  readonly name: string;
  /** Needs what was committed to be there when the store is opened again. */
  readonly durable: boolean;
  /** `seed` is of what a case does at random; its errors name it. */
  run(open: () => S | Promise<S>, seed: number): Promise<void>;
}

/** Bytes of a state or a meta. */
export function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

/** What `write` made bytes of; null for none. */
export function text(value: Uint8Array | null | undefined): string | null {
  return value === null || value === undefined ? null : Buffer.from(value).toString("latin1");
}

export function write(space: string, key: string, value: string, offset = 0, epoch = 0): StateWrite {
  return { space, key, epoch, offset, bytes: new Uint8Array(Buffer.from(value, "latin1")) };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
