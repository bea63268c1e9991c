/**
 * Which entities of a view changed in which known-time minute and have no feature row yet, as the store remembers it:
 * one record a flush, not one an entity.
 *
 *     changed/<view>/<number>   entities noted for a minute since the record before, and entities whose row was read
 *
 * The records count one after another, so each may be forgotten once those before it are, and all that it notes has its
 * row: that is so of all minutes before the oldest one that has an entity without.
 */
import type { LocalOnlineStore, MetaWrite } from "../online-store/online-store.ts";
import { ByteReader, ByteWriter } from "../schema/byte-buffer.ts";
import type { EntityKey } from "../schema/entity-key.ts";

/** Forgotten in one commit: a minute's records at once would keep it long. */
const RECORDS_FORGOTTEN_MAX = 50;
const NOTED = 1;
const READ = 0;

interface StoredRecord {
  readonly name: string;
  /** Latest minute that it notes an entity for; -Infinity where it notes none. */
  readonly newest: number;
}

export class MinuteNotes {
  readonly #view: string;
  /** Notes that the store had at the beginning, with their minutes. */
  readonly found: ReadonlyMap<EntityKey, number>;
  /** Notes by their minute. */
  readonly #left = new Map<number, number>();
  readonly #records: StoredRecord[] = [];
  #number = 0;
  /** What has been since the last record, as the next one says it, and the latest minute that it notes an entity for. */
  readonly #record = new ByteWriter();
  #newest = Number.NEGATIVE_INFINITY;
  /** As an earlier version wrote them: a note by itself for each entity. */
  #single: string[] = [];

  constructor(store: LocalOnlineStore, view: string) {
    this.#view = view;
    const found = new Map<EntityKey, number>();
    for (const { name, bytes } of store.scanMeta(recordPrefix(view))) {
      const newest = readRecord(bytes, found);
      this.#records.push({ name, newest });
      this.#number = Number(name.slice(recordPrefix(view).length)) + 1;
    }
    for (const { name, bytes } of store.scanMeta(singlePrefix(view))) {
      const key = name.slice(singlePrefix(view).length);
      const minute = new ByteReader(bytes).float64();
      this.#single.push(name);
      this.#note(key, minute);
      found.set(key, minute);
    }
    this.found = found;
    for (const minute of found.values()) this.#count(minute, 1);
  }

  get hasWrites(): boolean {
    return this.#record.length > 0 || this.#forgettable() > 0;
  }

  /** The entity changed in the minute, for which it is not noted yet. */
  note(key: EntityKey, minute: number): void {
    this.#note(key, minute);
    this.#count(minute, 1);
  }

  /** The row of a noted entity was read. */
  read(key: EntityKey, minute: number): void {
    this.#count(minute, -1);
    this.#record.byte(READ);
    this.#record.text(key);
  }

  #note(key: EntityKey, minute: number): void {
    this.#record.byte(NOTED);
    this.#record.text(key);
    this.#record.float64(minute);
    this.#newest = Math.max(this.#newest, minute);
  }

  takeWrites(): MetaWrite[] {
    const forgotten = this.#records.splice(0, this.#forgettable());
    const metas = [...forgotten.map(({ name }) => name), ...this.#single].map((name): MetaWrite => {
      return { name, bytes: null };
    });
    this.#single = [];
    const record = this.#takeRecord();
    return record === null ? metas : [...metas, record];
  }

  #takeRecord(): MetaWrite | null {
    // What no record notes need not be taken back.
    if (this.#newest === Number.NEGATIVE_INFINITY && this.#records.length === 0) this.#record.clear();
    if (this.#record.length === 0) return null;
    const name = `${recordPrefix(this.#view)}${String(this.#number++).padStart(16, "0")}`;
    this.#records.push({ name, newest: this.#newest });
    const bytes = this.#record.copy();
    this.#record.clear();
    this.#newest = Number.NEGATIVE_INFINITY;
    return { name, bytes };
  }

  /** How many records, beginning with the oldest, say nothing any more. */
  #forgettable(): number {
    const oldest = Math.min(...this.#left.keys());
    let count = 0;
    while (count < RECORDS_FORGOTTEN_MAX && count < this.#records.length && this.#records[count]!.newest < oldest) {
      count++;
    }
    return count;
  }

  #count(minute: number, change: number): void {
    const left = (this.#left.get(minute) ?? 0) + change;
    if (left === 0) this.#left.delete(minute);
    else this.#left.set(minute, left);
  }
}

/** What is to be written so that no note names the entity; nobody may be running the view. */
export function withoutNote(store: LocalOnlineStore, view: string, key: EntityKey): MetaWrite[] {
  const metas: MetaWrite[] = [{ name: singlePrefix(view) + key, bytes: null }];
  for (const { name, bytes } of store.scanMeta(recordPrefix(view))) {
    const kept = new ByteWriter(bytes.length);
    for (const reader = new ByteReader(bytes); !reader.atEnd;) {
      const from = reader.position;
      const kind = reader.byte();
      const isOfKey = reader.text() === key;
      if (kind === NOTED) reader.float64();
      if (!isOfKey) kept.raw(bytes.subarray(from, reader.position));
    }
    if (kept.length < bytes.length) metas.push({ name, bytes: kept.copy() });
  }
  return metas;
}

/** What a view's metas of notes begin with. */
export function notePrefixes(view: string): readonly string[] {
  return [recordPrefix(view), singlePrefix(view)];
}

function recordPrefix(view: string): string {
  return `changed/${view}/`;
}

function singlePrefix(view: string): string {
  return `minute/${view}/`;
}

/** Changes `notes` by a record; returns the latest minute that it notes an entity for. */
function readRecord(bytes: Uint8Array, notes: Map<EntityKey, number>): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (const reader = new ByteReader(bytes); !reader.atEnd;) {
    const kind = reader.byte();
    const key = reader.text();
    if (kind === READ) {
      notes.delete(key);
      continue;
    }
    const minute = reader.float64();
    notes.set(key, minute);
    newest = Math.max(newest, minute);
  }
  return newest;
}
