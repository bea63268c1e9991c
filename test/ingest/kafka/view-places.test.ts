import { describe, expect, it } from "vitest";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { tellViewPlaces } from "../../../src/ingest/kafka/view-places.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { payments, user, userView } from "../payments.ts";

const source = { ...payments, kafka: { topic: "payments" } };

describe("the place of a view's states", () => {
  it("is told to servers, and refused to another definition of the view and beside another publisher", async () => {
    const store = new MemoryOnlineStore();
    const plans = planRoutes([user, source, userView], "onefold");
    await tellViewPlaces(store, plans);
    await tellViewPlaces(store, plans);
    expect(JSON.parse(Buffer.from(store.getMeta("view/user_payments@1")!).toString())).toMatchObject({
      space: "user_payments@1#kafka",
      epoch: 0,
    });
    const changed = { ...userView, features: userView.features.slice(1) };
    await expect(tellViewPlaces(store, planRoutes([user, source, changed], "onefold"))).rejects.toMatchObject({
      code: "FINGERPRINT_MISMATCH",
    });
    const place = { space: "user_payments@1#0", epoch: 0, position: 3, nextSequence: 0 };
    await store.commit([], [{ name: "view/user_payments@1", bytes: Buffer.from(JSON.stringify(place)) }]);
    await expect(tellViewPlaces(store, plans)).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
  });

  it("is none for a draft, and for a source without a topic", () => {
    expect(planRoutes([user, source, { ...userView, version: "dev" }], "onefold")).toEqual([]);
    expect(planRoutes([user, payments, userView], "onefold")).toEqual([]);
  });
});
