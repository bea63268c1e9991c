/**
 * Which member of a group gets which partitions: by rendezvous hashing with a bound, so that no state needs to be
 * passed on, no member has more than its share, and when one comes or goes only partitions move that must.
 *
 * Each partition goes to the member that its hash ranks highest among those that are not full. Members go on with
 * what they have until the group has settled and then let go of what they lost: a moment in which two members
 * own a partition does no harm (see docs/kafka.md).
 */
import { createHash } from "node:crypto";
import type { TopicPartition } from "./records.ts";

export function assignPartitions(
  memberIds: readonly string[],
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const members = memberIds.toSorted();
  const given = new Map(members.map((member) => [member, [] as TopicPartition[]]));
  if (members.length === 0) return given;
  const share = Math.floor(partitions.length / members.length);
  // So many members have one more.
  let extras = partitions.length % members.length;
  const mayTake = (member: string): boolean => {
    const { length } = given.get(member)!;
    return length < share || (length === share && extras > 0);
  };
  const ordered = partitions.toSorted((a, b) =>
    a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition,
  );
  for (const one of ordered) {
    const name = `${one.topic}/${one.partition}`;
    const ranked = members
      .map((member) => ({ member, rank: rankOf(member, name) }))
      .toSorted((a, b) => b.rank - a.rank);
    const { member } = ranked.find((each) => mayTake(each.member))!;
    if (given.get(member)!.length === share) extras--;
    given.get(member)!.push(one);
  }
  return given;
}

function rankOf(member: string, partition: string): number {
  return createHash("sha256").update(`${member}\n${partition}`).digest().readUInt32BE();
}
