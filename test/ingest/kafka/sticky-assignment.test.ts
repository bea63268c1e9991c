import { describe, expect, it } from "vitest";
import { assignPartitions } from "../../../src/ingest/kafka/sticky-assignment.ts";

const partitions = ["a", "b"].flatMap((topic) => Array.from({ length: 24 }, (_, partition) => ({ topic, partition })));

function ownersOf(members: readonly string[]): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [member, theirs] of assignPartitions(members, partitions)) {
    expect(theirs.length).toBeLessThanOrEqual(Math.ceil(partitions.length / members.length));
    expect(theirs.length).toBeGreaterThanOrEqual(Math.floor(partitions.length / members.length));
    for (const { topic, partition } of theirs) {
      expect(owners.has(`${topic}/${partition}`)).toBe(false);
      owners.set(`${topic}/${partition}`, member);
    }
  }
  expect(owners.size).toBe(partitions.length);
  return owners;
}

describe("the assignment of partitions", () => {
  it("gives each partition to one member, none more than its share, and moves few when one comes or goes", () => {
    for (let size = 1; size <= 8; size++) {
      const members = Array.from({ length: size }, (_, i) => `worker-${i}-${size}`);
      const before = ownersOf(members);
      expect(ownersOf(members.toReversed())).toEqual(before);
      const after = ownersOf([...members, "another"]);
      const moved = [...before].filter(([name, member]) => after.get(name) !== member);
      // All that the new one takes must move; hashing with a bound moves some others.
      const share = Math.ceil(partitions.length / (size + 1));
      expect(moved.length, `${size} members`).toBeLessThanOrEqual(share * 2);
    }
  });
});
