/** What the forgetting of an entity waits for, and what it must not wait for. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import { encodePosition, type FoldPosition, positionMetaName } from "../../../src/ingest/kafka/position.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { waitUntilFolded } from "../../../src/platform/kafka/forget-waits.ts";
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
    return waitUntilFolded(store, source, places, { stalledMs: 30, lookMs: 1, onLeft: () => {} }).then(
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
});
