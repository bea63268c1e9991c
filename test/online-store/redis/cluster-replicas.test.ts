import { describe, expect, it } from "vitest";
import { DeadReplicas, readMaster } from "../../../src/online-store/redis/cluster-replicas.ts";
import { hashSlot, tagInSlot } from "../../../src/online-store/redis/hash-slot.ts";

/** What a master of a cluster said while one of its two replicas was dead and a slot was on its way to it. */
const NODES = `41f5 127.0.0.1:28780@31145 slave 2be4 0 1795677806047 2 connected
6ca0 127.0.0.1:22752@20956,host-2 slave be7d 0 1795677806045 0 connected
77aa 127.0.0.1:22753@20957 slave,fail be7d 1795677800045 1795677800045 0 disconnected
88bb 127.0.0.1:22754@20958 slave,fail? be7d 1795677800045 1795677800045 0 connected
be7d 127.0.0.1:22032@23767 myself,master - 0 1795677805000 0 connected [5461-<-2be4] 12 100-5460
8c1c 127.0.0.1:25452@26593 master,fail - 0 1795677806045 1 disconnected 10923-16383
2be4 127.0.0.1:28194@25920 master - 0 1795677806146 2 connected 5461-10922
`;

describe("the replicas of a master", () => {
  it("are those that it has, dead ones too, and a key of its own lies in its first slot", () => {
    const replicas = [
      { id: "6ca0", isDead: false },
      { id: "77aa", isDead: true },
      { id: "88bb", isDead: false },
    ];
    expect(readMaster(NODES)).toEqual({ firstSlot: 12, replicas });
    const ofReplica = NODES.replace("slave 2be4", "myself,slave 2be4").replace("myself,master", "master");
    expect(readMaster(ofReplica)).toBeNull();
    expect(readMaster(NODES.replace(" 12 100-5460", ""))).toBeNull();
  });

  it("are waited for until they have been dead for longer than Redis would let them take over", () => {
    const dead = new DeadReplicas();
    const [alive, gone] = [
      { id: "a", isDead: false },
      { id: "b", isDead: true },
    ];
    dead.seen([alive, gone], 1000);
    expect(dead.alive([alive, gone], 161_000)).toBe(2);
    dead.seen([alive, gone], 170_000);
    expect(dead.alive([alive, gone], 182_000)).toBe(1);
    dead.seen([alive, { ...gone, isDead: false }], 183_000);
    expect(dead.alive([alive, gone], 400_000)).toBe(2);
  });
});

describe("a hash slot", () => {
  it("is the one that Redis computes, and has a tag of its own", () => {
    // The check value of CRC-16/XMODEM; the others as `CLUSTER KEYSLOT` says.
    expect(hashSlot("123456789")).toBe(0x31c3 % 16_384);
    expect(hashSlot("a")).toBe(15_495);
    expect(hashSlot("of:metas")).toBe(221);
    for (const slot of [0, 1, 5460, 5461, 16_383]) expect(hashSlot(tagInSlot(slot))).toBe(slot);
  });
});
