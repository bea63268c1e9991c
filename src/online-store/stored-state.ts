/**
 * A state with its version, as stores that keep bytes keep it.
 *
 *     bytes 0-3    epoch, unsigned, big-endian
 *     bytes 4-11   offset, float64, big-endian
 *     then         the state
 */
import type { StateVersion, StoredState } from "./online-store.ts";

export const VERSION_BYTES = 12;

/** Whether a state of version `a` may take the place of one of version `b`. */
export function isNewer(a: StateVersion, b: StateVersion): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.offset > b.offset);
}

/** A copy, version and state in one. */
export function toStored(state: StoredState): Buffer {
  const stored = Buffer.allocUnsafe(VERSION_BYTES + state.bytes.length);
  writeStored(state, stored);
  return stored;
}

/** The same into so many bytes. */
export function writeStored({ epoch, offset, bytes }: StoredState, stored: Buffer): void {
  stored.writeUInt32BE(epoch);
  stored.writeDoubleBE(offset, 4);
  stored.set(bytes, VERSION_BYTES);
}

/** The state in `stored` is not copied. */
export function fromStored(stored: Uint8Array): StoredState {
  return { ...versionOf(stored), bytes: stateOf(stored) };
}

export function versionOf(stored: Uint8Array): StateVersion {
  const view = new DataView(stored.buffer, stored.byteOffset, VERSION_BYTES);
  return { epoch: view.getUint32(0), offset: view.getFloat64(4) };
}

/** Not copied. */
export function stateOf(stored: Uint8Array): Uint8Array {
  return new Uint8Array(stored.buffer, stored.byteOffset + VERSION_BYTES, stored.byteLength - VERSION_BYTES);
}
