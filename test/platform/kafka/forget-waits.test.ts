/** What the forgetting of an entity waits for, and what it must not wait for. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import { encodePosition, type FoldPosition, positionMetaName } from "../../../src/ingest/kafka/position.ts";
import { encodePlace } from "../../../src/ingest/kafka/view-places.ts";
import { viewMetaName } from "../../../src/ingest/stored-view.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { waitUntilFolded } from "../../../src/platform/kafka/forget-waits.ts";
import { foldedDrafts, leftSpaces } from "../../../src/platform/kafka/forgotten-drafts.ts";
import type { ForgottenSource } from "../../../src/platform/kafka/forgotten-source.ts";
import { payments } from "../../ingest/payments.ts";

const source: ForgottenSource = {
  source: { ...payments, kafka: { topic: "payments" } },
  views: [],
  own: [],
  all: [],
  folded: new Map([["by.user", ["user"]]]),
  deadLetters: "dead-letters",
  claims: null,
  isShared: false,
};

describe("marks of what is forgotten", () => {
  const waited = async (main: Partial<FoldPosition>, late: Partial<FoldPosition> | null): Promise<string> => {
    const store = new MemoryOnlineStore();
    const whole = { topicId: "id", knownTime: 0 as Micros, origins: {} };
    const meta = (isLate: boolean, position: Partial<FoldPosition>) => ({
      name: positionMetaName("by.user", 0, isLate),
      bytes: encodePosition({ ...whole, offset: 0, views: {}, ...position }),
    });
    await store.commit([], [meta(false, main), ...(late === null ? [] : [meta(true, late)])]);
    const places = [{ topic: "by.user", partition: 0, offset: 5 }];
    const waiting = { stalledMs: 30, lookMs: 1, onLeft: () => {} };
    return waitUntilFolded(store, source, { places, drafts: [] }, waiting).then(
      () => "folded",
      (error: { code?: string }) => String(error.code),
    );
  };

  it("are waited for by all views, and not by a position that another took in", async () => {
    expect(await waited({ offset: 5, views: { a: 0 } }, null)).toBe("folded");
    expect(await waited({ offset: 4, views: { a: 0 } }, null)).toBe("FORGET_UNFINISHED");
    expect(await waited({ offset: 5, views: { a: 0 } }, { offset: 4, views: { b: 0 } })).toBe("FORGET_UNFINISHED");
    expect(await waited({ offset: 5, views: { a: 0 } }, { offset: 5, views: { b: 0 } })).toBe("folded");
    // Killed between the two writes that make them one.
    expect(await waited({ offset: 5, views: { a: 0, b: 0 } }, { offset: 4, views: { b: 0 } })).toBe("folded");
    expect(await waited({ offset: 4, views: { a: 0, b: 0 } }, { offset: 4, views: { b: 0 } })).toBe(
      "FORGET_UNFINISHED",
    );
  });

  it("are waited for where a draft alone is folded, which is named", async () => {
    const store = new MemoryOnlineStore();
    const places = [{ topic: "by.country", partition: 0, offset: 5 }];
    const drafts = [{ name: "spending@dev", topic: "by.country", spaces: ["spending@dev#1#kafka"] }];
    const waiting = { stalledMs: 30, lookMs: 1, onLeft: () => {} };
    await expect(waitUntilFolded(store, source, { places, drafts }, waiting)).rejects.toMatchObject({
      code: "FORGET_UNFINISHED",
      where: "by.country/0 at 0 for draft spending@dev",
      hint: expect.stringContaining("--drafts") as unknown,
    });
    const position = { topicId: "id", knownTime: 0 as Micros, origins: {}, offset: 5, views: { "spending@dev#1": 5 } };
    await store.commit([], [{ name: positionMetaName("by.country", 0), bytes: encodePosition(position) }]);
    await waitUntilFolded(store, source, { places, drafts }, waiting);
  });
});

describe("drafts that workers fold", () => {
  it("are those that the store tells of, whoever has registered them; of some nobody folds any more", async () => {
    const store = new MemoryOnlineStore();
    const text = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value)));
    const place = { space: "spending@dev#2#kafka", epoch: 0, position: 0, nextSequence: 0 };
    const position = { topicId: "id", knownTime: 0 as Micros, origins: {}, offset: 5, views: { "spending@dev#2": 5 } };
    await store.commit(
      [],
      [
        { name: "kafka-drafts/spending@dev", bytes: text(["spending@dev#1#kafka", "spending@dev#2#kafka"]) },
        { name: viewMetaName("spending@dev"), bytes: encodePlace({ ...place, topic: "by.country" }) },
        { name: "kafka-drafts/other@dev", bytes: text(["other@dev#1#kafka"]) },
        { name: viewMetaName("other@dev"), bytes: encodePlace({ ...place, topic: "of another source" }) },
        { name: positionMetaName("by.country", 1, true), bytes: encodePosition(position) },
      ],
    );
    const drafts = await foldedDrafts(store, ["by.country"]);
    expect(drafts).toEqual([
      { name: "spending@dev", topic: "by.country", spaces: ["spending@dev#1#kafka", "spending@dev#2#kafka"] },
    ]);
    const facts = new Map([["by.country", { name: "by.country", id: "id", partitionCount: 2 }]]);
    expect(await leftSpaces(store, drafts, facts)).toEqual(["spending@dev#1#kafka"]);
  });
});
