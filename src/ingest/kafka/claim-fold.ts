/**
 * Who has an event id: one partition of a source's topic of claims, folded into verdicts that routers wait for.
 *
 * An id counts once in its source, whatever the entities of the events that carry it; and those stand in different
 * partitions of internal topics, of which each is folded by itself. So the id is decided before: a router claims the
 * ids of the records at hand in a topic that is keyed by the id, waits for the verdicts, and appends the events that
 * have theirs. All claims of an id stand in one partition; of those within `dedupeWithin` the first has it.
 *
 * Why the effect is exactly-once: claims are appended as events are (`origin.ts`), so a claim is judged once the
 * largest origin taken of its source partition is at or behind it, and copies change nothing. A verdict follows from
 * the partition's records alone, whoever folds them, again or at the same time. So whichever router asks, and however
 * often, it appends the same events; what belongs into an internal topic is as fixed as it was without claims.
 *
 * Refusals are stored, before the position that speaks for them, and kept for longer than a router may be away between a
 * claim and its event; a claim that is judged and not refused has its id. An event that is too far ahead of the clock
 * takes no id, so that it may come again when its sender's clock is right: that is decided here, too, by the claim's time.
 */
import type { RefusedWrite, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { KafkaRecord, NewRecord } from "./records.ts";
import { type RefusedRecord, refusalOf } from "./dead-letter-topic.ts";
import type { FoldedPartition, PartitionPlace, PartitionWrites } from "./folded-partition.ts";
import { isBlank } from "./forget-records.ts";
import { partitionOfKey } from "./key-partition.ts";
import { TakenOrigins } from "./origin.ts";
import { type FoldPosition, refuseOtherTopic } from "./position.ts";
import { CORRECTS_HEADER, foreignRecord, readStamp } from "./record-stamp.ts";
import type { Route } from "./routes.ts";
import { TakenIds } from "./taken-ids.ts";

/** A router that is away for longer between a claim and its event takes a refused one for one that has its id. */
export const REFUSED_KEPT_MS: number = 30 * 24 * 3_600_000;

/** A claim of an id for the record of a source's topic. */
export interface Claim {
  readonly record: NewRecord;
  /** Of the source's topic, `id/3`. */
  readonly sourcePartition: string;
  readonly sourceOffset: number;
}

export type Verdict =
  | { readonly kind: "has-id" }
  | { readonly kind: "duplicate" }
  /** At this time, which its event time is too far ahead of. */
  | { readonly kind: "too-far-ahead"; readonly stamp: number };

export function refusedSpace(topic: string): string {
  return `${topic}#refused`;
}

export function claimKey({ sourcePartition, sourceOffset }: Pick<Claim, "sourcePartition" | "sourceOffset">): string {
  return `${sourcePartition}/${sourceOffset}`;
}

/** `headers` are those of the event's routed records. */
export function claimOf(
  topic: string,
  partitionCount: number,
  event: {
    readonly key: Buffer;
    readonly id: string;
    readonly eventTime: number;
    readonly headers: NewRecord["headers"];
  },
  place: { readonly topicId: string; readonly partition: number; readonly offset: number },
): Claim {
  const { key, id, eventTime, headers } = event;
  const partition = partitionOfKey(Buffer.from(id), partitionCount);
  const value = Buffer.from(`${eventTime} ${id}`);
  return {
    record: { topic, partition, key, value, headers, hasOwnKey: true },
    sourcePartition: `${place.topicId}/${place.partition}`,
    sourceOffset: place.offset,
  };
}

/** Of one that an earlier version wrote, the id is the record's key. Null for a record that is no claim. */
export function readClaim({ key, value }: KafkaRecord): { readonly id: string; readonly eventTime: number } | null {
  if (key === null || value === null || value.length === 0) return null;
  const text = value.toString();
  const cut = text.indexOf(" ");
  const eventTime = Number(cut === -1 ? text : text.slice(0, cut));
  return Number.isSafeInteger(eventTime) ? { id: cut === -1 ? key.toString() : text.slice(cut + 1), eventTime } : null;
}

export function decodeVerdict(stored: StoredState | null): Verdict {
  if (stored === null) return { kind: "has-id" };
  if (stored.bytes.length < 8) return { kind: "duplicate" };
  const { buffer, byteOffset } = stored.bytes;
  return { kind: "too-far-ahead", stamp: new DataView(buffer, byteOffset, 8).getFloat64(0) };
}

const DUPLICATE: Uint8Array = new Uint8Array([1]);

function tooFarAhead(stamp: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, stamp);
  return bytes;
}

interface Candidate {
  readonly offset: number;
  readonly claim: string;
  readonly idKey: string;
  readonly eventTime: number;
  readonly stamp: number;
  /** Of an event that takes the place of the one that has the id. */
  readonly corrects: boolean;
}

export interface ClaimFoldOptions extends PartitionPlace {
  readonly route: Route;
  readonly deadLetterTopic: string;
}

export class ClaimFold implements FoldedPartition {
  readonly options: ClaimFoldOptions;
  readonly isLate = false as const;
  readonly takesCorrections = false as const;
  readonly admitted = [] as const;
  readonly #origins: TakenOrigins;
  readonly #ids: TakenIds;
  #candidates: Candidate[] = [];
  #refusals: { readonly claim: string; readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #foreign: RefusedRecord[] = [];
  #offset: number;
  #knownTime: number;
  storedOffset: number;
  duplicates = 0;
  copies = 0;

  constructor(options: ClaimFoldOptions) {
    const { route, position, topicId, startOffset } = options;
    this.options = options;
    refuseOtherTopic(position, { topic: route.topic, topicId, held: "ids" });
    this.#offset = position?.offset ?? startOffset;
    this.storedOffset = this.#offset;
    this.#knownTime = position?.knownTime ?? Number.NEGATIVE_INFINITY;
    this.#origins = new TakenOrigins(position?.origins);
    this.#ids = new TakenIds(route.topic, route.source.dedupeWithinMicros);
  }

  get offset(): number {
    return this.#offset;
  }

  admit(records: readonly KafkaRecord[], nextOffset: number): StateRead[] {
    const wanted = new Map<string, StateRead>();
    for (const record of records) {
      const candidate = this.#admitOne(record);
      if (candidate === null) continue;
      this.#candidates.push(candidate);
      wanted.set(candidate.idKey, this.#ids.readOf(candidate.idKey));
    }
    this.#offset = nextOffset;
    return [...wanted.values()];
  }

  #admitOne(record: KafkaRecord): Candidate | null {
    const { offset } = record;
    const headers = record.headers();
    const stamped = readStamp(headers);
    if (isBlank(record)) {
      if (stamped !== null) this.#origins.take(stamped.origin);
      return null;
    }
    const read = readClaim(record);
    if (stamped === null || read === null) {
      this.#foreign.push(this.#letter(record));
      return null;
    }
    const { origin, stamp } = stamped;
    if (!this.#origins.take(origin)) {
      this.copies++;
      return null;
    }
    const claim = claimKey({ sourcePartition: origin.partition, sourceOffset: origin.offset });
    const { id, eventTime } = read;
    const idKey = TakenIds.keyOf("", id);
    return { offset, claim, idKey, eventTime, stamp, corrects: headers.has(CORRECTS_HEADER) };
  }

  load({ key }: StateRead, stored: StoredState | null): void {
    this.#ids.load(key, stored);
  }

  fold(): readonly [] {
    const { maxFutureMicros } = this.options.route.source;
    for (const { offset, claim, idKey, eventTime, stamp, corrects } of this.#candidates) {
      if (eventTime > stamp + maxFutureMicros) {
        this.#refusals.push({ claim, offset, bytes: tooFarAhead(stamp) });
        continue;
      }
      const knownTime = Math.max(this.#knownTime, stamp);
      // What takes an event's place has its id; that stays known from when the first one was.
      if (this.#ids.isDuplicate(idKey, offset, knownTime) && !corrects) {
        this.duplicates++;
        this.#refusals.push({ claim, offset, bytes: DUPLICATE });
      } else this.#knownTime = knownTime;
    }
    this.#candidates = [];
    return [];
  }

  takeRefused(): RefusedRecord[] {
    const foreign = this.#foreign;
    this.#foreign = [];
    return foreign;
  }

  takeWrites(): PartitionWrites {
    const space = refusedSpace(this.options.route.topic);
    const states = this.#refusals.map(({ claim, offset, bytes }): StateWrite => {
      return { space, key: claim, epoch: 0, offset, bytes, keptMs: REFUSED_KEPT_MS };
    });
    this.#refusals = [];
    return { states, ids: this.#ids.takeWrites(), passed: [] };
  }

  committed(writes: PartitionWrites, refused: readonly RefusedWrite[]): void {
    this.#ids.committed(writes, refused, this.#offset);
  }

  letGo(): void {}

  get position(): FoldPosition {
    return {
      topicId: this.options.topicId,
      offset: this.#offset,
      knownTime: Number.isFinite(this.#knownTime) ? this.#knownTime : null,
      origins: this.#origins.toJSON(),
      views: {},
    };
  }

  #letter({ key, value, offset }: KafkaRecord): RefusedRecord {
    const { route, deadLetterTopic, partition, topicId } = this.options;
    const refusal = refusalOf(foreignRecord(route.topic));
    const { source, topic } = route;
    const place = { topic, topicId, partition, offset };
    return { deadLetterTopic, source: source.name, stage: "record", ...refusal, ...place, key, value };
  }
}
