/**
 * How far a partition is folded: what the decisions about its next records hang on, all of it in one value.
 *
 * It is stored beside the states, after them, and over the connection that they went over; not where a further one
 * stands. Records behind a stored position may already be in some states; those skip them. So even an older one that
 * slips in does no harm: what it says of the records before it is as true as ever.
 */
import { OnefoldError } from "../../base/errors.ts";

export interface FoldPosition {
  /** Id of the topic whose offsets these are. */
  readonly topicId: string;
  /** Offset of the next record to take. */
  readonly offset: number;
  /** Largest known time taken; the next event is known at that or later. Null at first. */
  readonly knownTime: number | null;
  /** Largest offset taken of each source partition. */
  readonly origins: Readonly<Record<string, number>>;
  /** Offset of the next record that each view folds: not before `offset`. */
  readonly views: Readonly<Record<string, number>>;
  /** Of each group of states, the offset of the mark that must stand with them at the least (`marked-groups.ts`). */
  readonly groups?: Readonly<Record<string, number>>;
}

/** Names a partition. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** The meta that a partition's position stands in; that of views which are behind the others has one of its own. */
export function positionMetaName(topic: string, partition: number, isLate = false): string {
  return `${isLate ? "kafka-late" : "kafka"}/${partitionName(topic, partition)}`;
}

/** What is judged of a partition of claims and not in its position yet, with the servers that have it. */
export function judgedMetaName(topic: string, partition: number): string {
  return `kafka-judged/${partitionName(topic, partition)}`;
}

export function encodePosition(position: FoldPosition): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(position)));
}

export function decodePosition(bytes: Uint8Array): FoldPosition {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as FoldPosition;
}

/** Whether `a` is behind more records than `b`, for every view of `b`: one that is new goes over the first ones again. */
export function isFurther(a: FoldPosition, b: FoldPosition): boolean {
  return a.offset > b.offset && Object.entries(b.views).every(([view, offset]) => (a.views[view] ?? 0) >= offset);
}

/** Throws `KAFKA_TOPIC_UNFIT` for a position in a topic of this name that is no more; `held` is in the store of its records. */
export function refuseOtherTopic(
  position: FoldPosition | null,
  { topic, topicId, held }: { readonly topic: string; readonly topicId: string; readonly held: "states" | "ids" },
): void {
  if (position === null || position.topicId === topicId) return;
  throw new OnefoldError("KAFKA_TOPIC_UNFIT", `topic ${topic} was deleted and made anew`, {
    where: topic,
    hint: `the ${held} in the online store are of the records before: remove them, or take another --kafka-prefix`,
  });
}
