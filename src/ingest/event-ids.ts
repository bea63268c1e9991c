/**
 * Event ids already accepted: what makes a second push of the same event a duplicate.
 *
 * An id lives in memory from the moment a push claims it until the commit that stores it beside the states
 * and positions its event is folded into; from then on in the online store alone, as
 * `id/<source>/<id>` -> known time and a digest of the row (imported ones: known time alone). So memory holds
 * what came since the last flush and no more, and a crash finds ids and positions in step: events behind the
 * position are replayed from the log, and their ids with them. An id older than `dedupeWithin` counts as new; a slow sweep removes such ids from the store.
 *
 * Where the ids are names that a run gave, `run/...`, no time is too long: a run that is gone on with knows all its names.
 * The sweep removes those of other runs, which are over, as a source has one at a time.
 */
import { createHash } from "node:crypto";
import type { Row } from "../schema/value.ts";
import { rowDigest } from "./row-digest.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";

/** Longest id stored as it is; longer ones are stored by their SHA-256. */
const ID_BYTES_MAX = 128;
const SWEEP_IDS_MIN = 64;
/** The sweep visits so many stored ids for each id that is written. */
const SWEEP_FACTOR = 4;

interface Known {
  readonly knownTime: number;
  /** Of the row; null where it was not kept. */
  readonly digest: number | null;
}

interface Claim extends Known {
  /** Resolves once the claiming event is durable; null for one that is. */
  readonly durable: Promise<unknown> | null;
}

/** What a claim is told of an id that is taken. */
export interface Taken {
  /** What to wait for before calling the event a duplicate. */
  readonly durable: Promise<unknown>;
  /** Whether the first event of this id surely held something else. */
  readonly differs: boolean;
}

export interface EventIdsOptions {
  readonly source: string;
  readonly store: LocalOnlineStore;
  readonly dedupeWithinMicros: number;
  /** Columns of a row that are the event's own; derived ones stand behind them. */
  readonly storedCount: number;
  /** All ids are names that runs gave. Default false. */
  readonly areNamesOfRuns?: boolean;
}

export class EventIds {
  readonly #prefix: string;
  readonly #store: LocalOnlineStore;
  readonly #withinMicros: number;
  readonly #storedCount: number;
  readonly #claims = new Map<string, Claim>();
  #toWrite: (Known & { readonly id: string })[] = [];
  #sweepAfter: string | undefined;
  #sweepOldest = Number.POSITIVE_INFINITY;
  #nextSweepFrom = Number.NEGATIVE_INFINITY;
  readonly #areNamesOfRuns: boolean;
  /** Of the newest name. */
  #run: string | null = null;

  constructor({ source, store, dedupeWithinMicros, storedCount, areNamesOfRuns = false }: EventIdsOptions) {
    this.#areNamesOfRuns = areNamesOfRuns;
    this.#prefix = idPrefix(source);
    this.#store = store;
    this.#withinMicros = dedupeWithinMicros;
    this.#storedCount = storedCount;
  }

  /** Ids accepted since the last flush began. */
  get unwrittenCount(): number {
    return this.#toWrite.length;
  }

  /**
   * Claims an id at `now` for an event that will be durable when `durable` resolves. Returns null when it is
   * claimed.
   */
  claim(id: string, row: Row, now: number, durable: Promise<unknown>): Taken | null {
    this.#noteRun(id);
    const horizon = now - this.#withinMicros;
    const digest = rowDigest(row, this.#storedCount);
    const claim = this.#claims.get(id);
    const stored = claim === undefined ? this.#store.getMeta(idName(this.#prefix, id)) : null;
    const known: Known | null = claim ?? (stored === null ? null : knownOf(stored));
    if (known !== null && known.knownTime >= horizon) {
      const differs = known.digest !== null && known.digest !== digest;
      return { durable: claim?.durable ?? Promise.resolve(), differs };
    }
    this.#claims.set(id, { knownTime: now, digest, durable });
    return null;
  }

  /** Takes a claim back: its event never reached the log. */
  release(id: string): void {
    this.#claims.delete(id);
  }

  /** The event of this id is in the log, below the position of the next flush. */
  accepted(id: string, row: Row, knownTime: number): void {
    this.#noteRun(id);
    const claim = this.#claims.get(id);
    // A claim that waits is this event's; any other is of an earlier event whose id came again past the horizon.
    const isOwn = claim !== undefined && claim.durable !== null;
    const digest = isOwn ? claim.digest : rowDigest(row, this.#storedCount);
    this.#claims.set(id, { knownTime, digest, durable: null });
    this.#toWrite.push({ id, knownTime, digest });
  }

  /** What the flush that begins now must write; `committed` is to be called once it has. */
  takeWrites(now: number): { readonly metas: MetaWrite[]; committed(): void } {
    const taken = this.#toWrite;
    this.#toWrite = [];
    const metas = taken.map(({ id, ...known }) => idMeta(this.#prefix, id, known));
    this.#sweep(now, SWEEP_IDS_MIN + SWEEP_FACTOR * taken.length, metas);
    return {
      metas,
      committed: () => {
        for (const { id, knownTime } of taken) {
          const claim = this.#claims.get(id);
          if (claim?.durable === null && claim.knownTime === knownTime) this.#claims.delete(id);
        }
      },
    };
  }

  /** Goes on through the stored ids and removes those that are over; rests until some can be. */
  #sweep(now: number, budget: number, metas: MetaWrite[]): void {
    if (now < this.#nextSweepFrom || (this.#areNamesOfRuns && this.#run === null)) return;
    const horizon = now - this.#withinMicros;
    const written = new Set(metas.map((meta) => meta.name));
    const kept = this.#areNamesOfRuns ? idName(this.#prefix, `${this.#run}/`) : null;
    let visited = 0;
    for (const { name, bytes } of this.#store.scanMeta(this.#prefix, this.#sweepAfter)) {
      this.#sweepAfter = name;
      const knownTime = eventIdTime(bytes);
      const isOver = kept === null ? knownTime < horizon : !name.startsWith(kept);
      if (!isOver) this.#sweepOldest = Math.min(this.#sweepOldest, knownTime);
      else if (!written.has(name)) metas.push({ name, bytes: null });
      if (++visited >= budget) return;
    }
    const oldest = Math.min(this.#sweepOldest, now);
    this.#nextSweepFrom = oldest + this.#withinMicros * 1.25;
    this.#sweepAfter = undefined;
    this.#sweepOldest = Number.POSITIVE_INFINITY;
  }

  /** Another run begins: those before it are over. */
  #noteRun(name: string): void {
    if (!this.#areNamesOfRuns || (this.#run !== null && name.startsWith(`${this.#run}/`))) return;
    this.#run = name.slice(0, name.indexOf("/"));
    this.#sweepAfter = undefined;
    this.#nextSweepFrom = Number.NEGATIVE_INFINITY;
  }
}

/** The meta that says that an event of this id is known since `knownTime`, for ids that come in another way than by pushes. */
export function eventIdMeta(source: string, id: string, knownTime: number): MetaWrite {
  return idMeta(idPrefix(source), id, { knownTime, digest: null });
}

/** The meta that holds an id, removed: an event of the id is new again. */
export function forgottenIdMeta(source: string, id: string): MetaWrite {
  return { name: idName(idPrefix(source), id), bytes: null };
}

function idMeta(prefix: string, id: string, known: Known): MetaWrite {
  return { name: idName(prefix, id), bytes: bytesOf(known) };
}

function idPrefix(source: string): string {
  return `id/${source}/`;
}

function idName(prefix: string, id: string): string {
  if (id.length <= ID_BYTES_MAX / 3 || Buffer.byteLength(id) <= ID_BYTES_MAX) return `${prefix}=${id}`;
  return `${prefix}#${createHash("sha256").update(id).digest("hex")}`;
}

function bytesOf({ knownTime, digest }: Known): Uint8Array {
  const bytes = Buffer.alloc(digest === null ? 8 : 12);
  bytes.writeDoubleLE(knownTime);
  if (digest !== null) bytes.writeUInt32LE(digest, 8);
  return bytes;
}

function knownOf(bytes: Uint8Array): Known {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { knownTime: view.getFloat64(0, true), digest: bytes.length < 12 ? null : view.getUint32(8, true) };
}

/** When the event of an id became known, from its meta. */
export function eventIdTime(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0, true);
}
