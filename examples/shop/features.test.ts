/**
 * What the features mean, said as examples: `npm test` runs them in a moment, with no server and no data folder.
 */
import { describe, it } from "node:test";
import type { EventOf } from "onefold";
import { expectView, late } from "onefold/testing";
import { type payments, spending } from "./features.ts";

type Payment = EventOf<typeof payments>;

/** A payment of Ada's on the first of January; a test says only what matters to it. */
function payment(payment_id: string, time: string, amount: number, parts: Partial<Payment> = {}): Payment {
  return { payment_id, user_id: "ada", paid_at: `2026-01-01T${time}Z`, amount, country: "FR", ...parts };
}

describe("spending", () => {
  it("counts the payments of the hour before now, and forgets them as time passes", () => {
    expectView(spending)
      .after([payment("p1", "10:00:00", 10), payment("p2", "10:30:00", 20)])
      .at("2026-01-01T10:45:00Z")
      .toEqual({ payments_1h: 2, amount_24h: 30, mean_amount_7d: 15 })
      .at("2026-01-01T11:00:00Z")
      .toEqual({ payments_1h: 1, amount_24h: 30 });
  });

  it("knows a payment that comes late only from then on", () => {
    const onTrain = late(payment("p1", "10:00:00", 10), { knownAt: "2026-01-01T12:00:00Z" });
    expectView(spending)
      .after([onTrain])
      .at("2026-01-01T11:59:59Z")
      .toEqual({ amount_24h: 0 })
      .at("2026-01-01T12:00:00Z")
      .toEqual({ amount_24h: 10 });
  });

  it("keeps the users apart", () => {
    const history = expectView(spending).after([
      payment("p1", "10:00:00", 250),
      payment("p2", "10:00:00", 20, { user_id: "bob", country: null }),
    ]);
    history.of({ user_id: "ada" }).at("2026-01-01T11:00:00Z").toEqual({ large_payments_7d: 1, last_country: "FR" });
    history.of({ user_id: "bob" }).at("2026-01-01T11:00:00Z").toEqual({ large_payments_7d: 0, last_country: null });
  });

  it("lets no payment in that pays nothing", () => {
    expectView(spending).toReject(payment("p1", "10:00:00", 0), "CONSTRAINT_FAILED");
  });
});
