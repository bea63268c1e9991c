/** Records of a source's topic on their way to internal topics: what was fetched of each partition, in rounds of so many at a time. */
import type { RefusedRecord } from "./dead-letter-topic.ts";
import type { Claim } from "./claim-fold.ts";
import type { KafkaRecord, NewRecord, TopicPartition } from "./records.ts";
import type { RoutePosition } from "./route-position.ts";
import type { RoutedRecord, Router } from "./router.ts";

/** What was fetched of a partition, and what becomes of each record. */
export interface RoutedPartition extends TopicPartition {
  readonly at: RoutePosition;
  readonly end: number;
  readonly items: readonly RoutedItem[];
}

export interface RoutedItem {
  readonly router: Router;
  readonly record: KafkaRecord;
  readonly routed: RoutedRecord | RefusedRecord;
}

/** About as many as it takes of a request: a retraction has no value, and there is one for each partition. */
export function bytesOf({ key, value, headers }: NewRecord): number {
  let bytes = 20 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of headers) bytes += 4 + name.length + text.length;
  return bytes;
}

export function isCorrection({ routed }: RoutedItem): boolean {
  return !("code" in routed) && routed.isCorrection;
}

/** In order, so many records at a time; what is read of a record by several sources stays together. */
export function inRounds(routed: readonly RoutedPartition[], records: number): (readonly RoutedPartition[])[] {
  const rounds: RoutedPartition[][] = [];
  let round: RoutedPartition[] = [];
  let count = 0;
  for (const part of routed) {
    const { items } = part;
    let from = 0;
    do {
      let to = Math.min(items.length, from + records - count);
      while (to > 0 && to < items.length && items[to]!.record === items[to - 1]!.record) to++;
      const end = to < items.length ? items[to]!.record.offset : part.end;
      round.push({ ...part, items: items.slice(from, to), end });
      count += to - from;
      from = to;
      if (count < records) continue;
      rounds.push(round);
      [round, count] = [[], 0];
    } while (from < items.length);
  }
  return round.length === 0 ? rounds : [...rounds, round];
}

export function claimsOf(routed: readonly RoutedPartition[]): Claim[] {
  return routed.flatMap(({ items }) =>
    items.flatMap(({ routed: one }) => ("code" in one || one.claim === null ? [] : [one.claim])),
  );
}

export function countOf(routed: readonly RoutedPartition[]): number {
  return routed.reduce((sum, { items }) => sum + items.length, 0);
}
