/**
 * Single records taken out of topics, all others at their offsets: those that have a key of their own are written over by a
 * blank with the same key, and the topic is compacted for as long as it takes.
 *
 *     segment 1: e0 e1 e2 │ segment 2: blank of e1 │ segment 3: filler        Kafka compacts all but the last segment
 *
 * It is compacted by the brokers' cleaners, in the background. Whether it is done is seen by reading where the records stood.
 * Compacting loses nothing else, however long it goes on, since no two other records have the same key; nor do records
 * without a value go, as they would be kept for a hundred years.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { AlteredTopics } from "./altered-topics.ts";
import type { KafkaConnection } from "./connection.ts";
import { fillerRecord } from "./forget-records.ts";
import type { TopicPartition } from "./records.ts";

export interface ErasedRecords extends TopicPartition {
  /** Rising; each has a blank behind it. */
  readonly offsets: readonly number[];
}

export interface ErasureLimits {
  /** So long nothing may come of it. */
  readonly stalledMs: number;
  /** For the copies of the partitions, which nobody can look at, to be compacted, too. */
  readonly copiesMs: number;
  /** Between two looks. */
  readonly lookMs: number;
}

const SEGMENT_MS = 2000;
const WAIT_MS = 500;
/** What topics are compacted by. */
export const COMPACTED: ReadonlyMap<string, string> = new Map([
  ["cleanup.policy", "compact,delete"],
  ["min.cleanable.dirty.ratio", "0"],
  ["min.compaction.lag.ms", "0"],
  ["segment.ms", String(SEGMENT_MS)],
  ["delete.retention.ms", "3155760000000"],
]);

type Connection = Pick<KafkaConnection, "fetch" | "send">;

/**
 * Resolves once none of the records can be read any more. The topics are then compacted by `altered`, which is to put back
 * what they had. Throws `FORGET_UNFINISHED`, `KAFKA_UNAVAILABLE`, and what `onProgress` throws.
 */
export async function compactAway(
  { connection, altered }: { readonly connection: Connection; readonly altered: AlteredTopics },
  erased: readonly ErasedRecords[],
  { stalledMs, copiesMs, lookMs }: ErasureLimits,
  onProgress: (left: number) => void = () => {},
): Promise<void> {
  for (const topic of new Set(erased.map(({ topic }) => topic))) await altered.alter(topic, COMPACTED);
  let left = erased;
  let movedMs = performance.now();
  let filledMs = Number.NEGATIVE_INFINITY;
  while (left.length > 0) {
    if (performance.now() - filledMs > 2 * SEGMENT_MS) {
      // The first closes the segment of the blanks. Others would help where it came too early.
      await connection.send(left.map(({ topic, partition }) => fillerRecord({ topic, partition })));
      filledMs = performance.now();
    }
    await sleep(lookMs);
    const now = await stillThere(connection, left);
    if (countOf(now) < countOf(left)) movedMs = performance.now();
    left = now;
    onProgress(countOf(left));
    if (left.length > 0 && performance.now() - movedMs > stalledMs) throw stalled(left);
  }
  await sleep(copiesMs);
}

/** Of each partition, from the first that is there on. */
async function stillThere(connection: Connection, erased: readonly ErasedRecords[]): Promise<readonly ErasedRecords[]> {
  let unseen = erased.map((one) => ({ ...one, at: 0 }));
  const there: ErasedRecords[] = [];
  while (unseen.length > 0) {
    const from = unseen.map(({ topic, partition, offsets, at }) => ({ topic, partition, offset: offsets[at]! }));
    const fetched = await connection.fetch(from, WAIT_MS, "erasure");
    const next: typeof unseen = [];
    for (const [i, one] of unseen.entries()) {
      const found = fetched.find(({ topic, partition }) => topic === one.topic && partition === one.partition);
      const records = new Set(found?.records.map(({ offset }) => offset));
      let { at } = one;
      const upTo = found === undefined ? from[i]!.offset : found.nextOffset;
      while (at < one.offsets.length && one.offsets[at]! < upTo && !records.has(one.offsets[at]!)) at++;
      if (at === one.offsets.length) continue;
      const isHere = one.offsets[at]! < upTo && records.has(one.offsets[at]!);
      // Where nothing is handed out nobody knows: it is looked again.
      const isKnown = isHere || at === one.at;
      if (isKnown) there.push({ topic: one.topic, partition: one.partition, offsets: one.offsets.slice(at) });
      else next.push({ ...one, at });
    }
    unseen = next;
  }
  return there;
}

function countOf(erased: readonly ErasedRecords[]): number {
  return erased.reduce((sum, { offsets }) => sum + offsets.length, 0);
}

function stalled(left: readonly ErasedRecords[]): OnefoldError {
  const names = [...new Set(left.map(({ topic }) => topic))];
  return new OnefoldError("FORGET_UNFINISHED", `Kafka has not compacted ${countOf(left)} records away`, {
    where: names.join(", "),
    hint: "see whether the brokers' log cleaner runs (log.cleaner.enable, uncleanable-partitions-count); then give the same command again",
  });
}
