/**
 * Encoded states of one view that were used lately, outside the heap, where the garbage collector does not look: a state
 * as objects costs it more than all that is in it, and a million of them hold everything up for seconds.
 *
 *     chunk:  state | state | (one that has grown out of its room) | state | ...   filled from the left
 *
 * Chunks are filled one after another. Once there may be no more of them the oldest is filled anew: what was used since
 * it was put there stays, as long as that is no more than half of the chunk, and the rest is let go.
 */
import type { EntityKey } from "../schema/entity-key.ts";

const CHUNK_BYTES_MAX = 1024 * 1024;
/** A chunk is no more than this part of all, so that what is let go at once is little. */
const CHUNKS_MIN = 16;
const CHUNK_ENTRIES_MAX = 8192;
/** What an entry takes beside its bytes. */
const ENTRY_BYTES = 100;
/** A state gets room for some more events, at a whole address. */
const ROOM_STEP_BYTES = 64;

export interface PackedStatesOptions {
  readonly countMax: number;
  /** Asked each time, as it may change. */
  readonly bytesMax: () => number;
}

export class PackedStates {
  readonly #bytesMax: () => number;
  readonly #chunkBytes: number;
  readonly #chunkEntries: number;
  readonly #countMax: number;
  /** Of the state that was got last. */
  note: number = 0;
  readonly #places = new Map<EntityKey, number>();
  readonly #chunks: Chunk[] = [];
  /** Index of the chunk that is being filled. */
  #filling = 0;
  /** Index of the one that is to be filled anew next. */
  #oldest = 0;
  /** How many chunks there might be when one was last filled anew. */
  #fullAt = 0;

  constructor({ countMax, bytesMax }: PackedStatesOptions) {
    this.#bytesMax = bytesMax;
    this.#chunkBytes = Math.max(ENTRY_BYTES, Math.min(CHUNK_BYTES_MAX, Math.floor(bytesMax() / CHUNKS_MIN / 8) * 8));
    this.#chunkEntries = Math.max(1, Math.min(CHUNK_ENTRIES_MAX, Math.floor(countMax / CHUNKS_MIN)));
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#places.size;
  }

  has(key: EntityKey): boolean {
    return this.#places.has(key);
  }

  /** The state's bytes, where they are: good until another is put. `note` is what was given with them. */
  get(key: EntityKey): Uint8Array | null {
    const place = this.#places.get(key);
    if (place === undefined) return null;
    const chunk = this.#chunks[chunkOf(place)]!;
    this.note = chunk.notes[indexOf(place)]!;
    return chunk.take(indexOf(place));
  }

  /** Whether what is put takes the place of others, or of ones that were let go together for it and more. */
  get isFull(): boolean {
    return this.#fullAt >= this.#chunksMax;
  }

  /** Copies the state's bytes; one that is too large for a chunk is not kept. */
  put(key: EntityKey, bytes: Uint8Array, note: number): void {
    const place = this.#places.get(key);
    if (place !== undefined) {
      if (this.#chunks[chunkOf(place)]!.write(indexOf(place), bytes, note)) return;
      this.delete(key);
    }
    const room = roomOf(bytes.length);
    if (room + ENTRY_BYTES > this.#chunkBytes) return;
    const chunk = this.#chunkFor(room);
    this.#places.set(key, placeOf(this.#filling, chunk.add(key, room, bytes, note)));
  }

  delete(key: EntityKey): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    this.#chunks[chunkOf(place)]!.keys[indexOf(place)] = null;
  }

  get #chunksMax(): number {
    return Math.max(1, Math.floor(this.#bytesMax() / this.#chunkBytes));
  }

  get #mayHaveMoreChunks(): boolean {
    return this.#chunks.length === 0 || (this.#chunks.length < this.#chunksMax && this.count < this.#countMax);
  }

  /** The one that is being filled, if there may be one more in it. */
  #chunkWithRoom(room: number): Chunk | null {
    const present = this.#chunks[this.#filling];
    return present !== undefined && this.count < this.#countMax && present.hasRoomFor(room) ? present : null;
  }

  #chunkFor(room: number): Chunk {
    const max = this.#chunksMax;
    while (this.#chunks.length > max) this.#drop();
    const present = this.#chunkWithRoom(room);
    if (present !== null) return present;
    if (this.#mayHaveMoreChunks) {
      const chunk = new Chunk(this.#chunkBytes, this.#chunkEntries);
      this.#filling = this.#chunks.push(chunk) - 1;
      return chunk;
    }
    this.#fullAt = max;
    for (;;) {
      this.#filling = this.#oldest % this.#chunks.length;
      this.#oldest = this.#filling + 1;
      const oldest = this.#chunks[this.#filling]!;
      this.#letGo(oldest, 0.5);
      if (!oldest.hasRoomFor(room)) this.#letGo(oldest, 0);
      // One that others have left may have had nothing to let go.
      if (this.count < this.#countMax) return oldest;
    }
  }

  #drop(): void {
    const chunk = this.#chunks.pop()!;
    for (const key of chunk.keys) if (key !== null) this.#places.delete(key);
    this.#filling = Math.min(this.#filling, this.#chunks.length - 1);
  }

  #letGo(chunk: Chunk, keptShare: number): void {
    const index = this.#filling;
    chunk.letGo(
      keptShare,
      (key, at) => this.#places.set(key, placeOf(index, at)),
      (key) => this.#places.delete(key),
    );
  }
}

class Chunk {
  readonly #memory: Uint8Array;
  readonly #entriesMax: number;
  /** Null where the entry is another's by now. */
  readonly keys: (EntityKey | null)[] = [];
  readonly notes: number[] = [];
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #rooms: number[] = [];
  readonly #used: boolean[] = [];
  #end = 0;

  constructor(bytes: number, entriesMax: number) {
    this.#memory = new Uint8Array(bytes);
    this.#entriesMax = entriesMax;
  }

  hasRoomFor(room: number): boolean {
    const count = this.keys.length + 1;
    return count <= this.#entriesMax && this.#end + room + count * ENTRY_BYTES <= this.#memory.length;
  }

  take(at: number): Uint8Array {
    this.#used[at] = true;
    return new Uint8Array(this.#memory.buffer, this.#starts[at]!, this.#lengths[at]!);
  }

  add(key: EntityKey, room: number, bytes: Uint8Array, note: number): number {
    const at = this.keys.push(key) - 1;
    this.#starts.push(this.#end);
    this.#rooms.push(room);
    this.#lengths.push(0);
    this.notes.push(0);
    this.#used.push(false);
    this.#end += room;
    this.write(at, bytes, note);
    return at;
  }

  /** False where there is no room for them. */
  write(at: number, bytes: Uint8Array, note: number): boolean {
    if (bytes.length > this.#rooms[at]!) return false;
    this.#memory.set(bytes, this.#starts[at]!);
    this.#lengths[at] = bytes.length;
    this.notes[at] = note;
    return true;
  }

  /** Moves together what was used, where it is no more than such a share of the chunk. */
  letGo(keptShare: number, stays: (key: EntityKey, at: number) => void, goes: (key: EntityKey) => void): void {
    const bytesMax = this.#memory.length * keptShare;
    const countMax = this.#entriesMax * keptShare;
    let kept = 0;
    let end = 0;
    for (let i = 0; i < this.keys.length; i++) {
      const key = this.keys[i]!;
      if (key === null) continue;
      const room = this.#rooms[i]!;
      if (!this.#used[i]! || end + room > bytesMax || kept >= countMax) {
        goes(key);
        continue;
      }
      const start = this.#starts[i]!;
      this.#memory.copyWithin(end, start, start + this.#lengths[i]!);
      this.keys[kept] = key;
      this.notes[kept] = this.notes[i]!;
      this.#starts[kept] = end;
      this.#lengths[kept] = this.#lengths[i]!;
      this.#rooms[kept] = room;
      this.#used[kept] = false;
      stays(key, kept++);
      end += room;
    }
    for (const list of [this.keys, this.notes, this.#starts, this.#lengths, this.#rooms, this.#used])
      list.length = kept;
    this.#end = end;
  }
}

function roomOf(bytes: number): number {
  return (Math.floor(bytes / ROOM_STEP_BYTES) + 2) * ROOM_STEP_BYTES;
}

function placeOf(chunk: number, at: number): number {
  return chunk * CHUNK_ENTRIES_MAX + at;
}

function chunkOf(place: number): number {
  return Math.floor(place / CHUNK_ENTRIES_MAX);
}

function indexOf(place: number): number {
  return place % CHUNK_ENTRIES_MAX;
}
