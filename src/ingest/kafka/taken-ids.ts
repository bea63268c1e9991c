/**
 * Event ids that one partition has taken: what makes a second event of an entity with the same id a duplicate.
 *
 * An id stands in the store under its entity and id, with the offset of the event that took it: `(offset) -> known
 * time`. It is written with the states and before the position. So when records are folded again, an entry may be of
 * the very event, or of a later one: neither makes the event a duplicate, only an entry of an earlier offset does. An
 * id that comes again past the horizon takes the place of the earlier one; a pass that begins before both keeps its own
 * entry in memory until it has come as far as the store's. So each decision follows from the partition's records
 * alone, wherever a pass begins and whatever was written before a crash.
 */
import { createHash } from "node:crypto";
import type { RefusedWrite, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { PartitionWrites } from "./folded-partition.ts";

/** Longest entity and id stored as they are; longer ones are stored by their SHA-256. */
const KEY_BYTES_MAX = 256;
/** An id is kept for so many horizons of the store's time, as a worker may fold late. */
const HORIZONS_KEPT = 2;

interface Taken {
  readonly offset: number;
  readonly knownTime: number;
}

export class TakenIds {
  readonly #space: string;
  readonly #withinMicros: number;
  readonly #taken = new Map<string, Taken>();
  readonly #loaded = new Map<string, Taken>();
  /** Entries that the store holds a later one of, and that one's offset. */
  readonly #behind = new Map<string, number>();
  #toWrite = new Set<string>();

  constructor(topic: string, withinMicros: number) {
    this.#space = `${topic}#ids`;
    this.#withinMicros = withinMicros;
  }

  static keyOf(entity: EntityKey, id: string): string {
    const key = `${entity}\n${id}`;
    if (Buffer.byteLength(key) <= KEY_BYTES_MAX) return key;
    return `#${createHash("sha256").update(key).digest("hex")}`;
  }

  readOf(key: string): StateRead {
    return { space: this.#space, key };
  }

  load(key: string, stored: StoredState | null): void {
    if (stored === null) return;
    const { buffer, byteOffset, byteLength } = stored.bytes;
    const knownTime = new DataView(buffer, byteOffset, byteLength).getFloat64(0);
    this.#loaded.set(key, { offset: stored.offset, knownTime });
  }

  /** Whether an earlier event has the id, within the horizon of `knownTime`; where not, this event takes it. */
  isDuplicate(key: string, offset: number, knownTime: number): boolean {
    const before = this.#taken.get(key) ?? this.#loaded.get(key);
    const isKnown =
      before !== undefined && before.offset < offset && before.knownTime >= knownTime - this.#withinMicros;
    if (isKnown) return true;
    const stored = this.#loaded.get(key);
    if (stored !== undefined && stored.offset > offset) this.#behind.set(key, stored.offset);
    this.#taken.set(key, { offset, knownTime });
    this.#toWrite.add(key);
    return false;
  }

  takeWrites(): StateWrite[] {
    const keptMs = Math.ceil((this.#withinMicros * HORIZONS_KEPT) / 1000);
    const writes = Array.from(this.#toWrite, (key): StateWrite => {
      const { offset, knownTime } = this.#taken.get(key)!;
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, knownTime);
      return { space: this.#space, key, epoch: 0, offset, bytes, keptMs };
    });
    this.#toWrite = new Set();
    return writes;
  }

  /** Once the partition's writes are in the store, but for `refused`; `nextOffset` is its own. */
  committed({ states, ids }: PartitionWrites, refused: readonly RefusedWrite[], nextOffset: number): void {
    for (const { index, stored } of refused) {
      const write = ids[index - states.length];
      if (write !== undefined && stored.offset > write.offset) this.#behind.set(write.key, stored.offset);
    }
    for (const [key, until] of this.#behind) if (until < nextOffset) this.#behind.delete(key);
    for (const key of this.#taken.keys()) if (!this.#behind.has(key)) this.#taken.delete(key);
    this.#loaded.clear();
  }
}
