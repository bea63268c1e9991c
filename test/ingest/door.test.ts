import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { isOnefoldError } from "../../src/base/errors.ts";
import { compileDoor } from "../../src/ingest/door.ts";
import { MINUTE, payment, payments, shop, shopView, START, user, userView } from "./payments.ts";

const door = compileDoor(payments, [
  { definition: userView, entity: user },
  { definition: shopView, entity: shop },
]);

function refusal(row: unknown, now: Micros = START): unknown {
  try {
    door.check(row, now);
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    return { code: error.code, where: error.where };
  }
  return "accepted";
}

describe("door", () => {
  it("gives stored values in schema order, then derived ones, the event's time and its id", () => {
    const row = { ...payment(9), at: "2026-01-01T00:00:00Z", amount: 63 };
    expect(door.check(row, START)).toEqual({
      row: ["p9", "u1", "FR", 0, START, 63, null, true],
      eventTime: START,
      id: "p9",
    });
    expect(door.check({ ...row, id: null }, START).id).toBeNull();
    expect(Object.is(door.check({ ...row, amount: -0 }, START).row[5], 0)).toBe(true);
  });

  it("reads only a row's own columns", () => {
    expect(door.check(payment(1), START).row[6]).toBeNull();
    expect(door.check({ ...payment(1), constructor: "builder" }, START).row[6]).toBe("builder");
    expect(refusal(JSON.parse('{"__proto__": 1}'))).toEqual({ code: "NULL_NOT_ALLOWED", where: "user" });
    const withProto = JSON.parse(JSON.stringify(payment(1)).replace("{", '{"__proto__": 1,'));
    expect(refusal(withProto)).toEqual({ code: "COLUMN_UNKNOWN", where: "__proto__" });
  });

  it("refuses, saying which column or constraint", () => {
    const good = payment(1);
    const { user: _, ...withoutUser } = good;
    const cases: [unknown, string, string | undefined][] = [
      [null, "REQUEST_INVALID", undefined],
      [[good], "REQUEST_INVALID", undefined],
      ["{}", "REQUEST_INVALID", undefined],
      [withoutUser, "NULL_NOT_ALLOWED", "user"],
      [{ ...good, user: null }, "NULL_NOT_ALLOWED", "user"],
      [{ ...good, users: "x" }, "COLUMN_UNKNOWN", "users"],
      [{ ...good, users: null }, "COLUMN_UNKNOWN", "users"],
      [{ ...good, shop: "one" }, "TYPE_MISMATCH", "shop"],
      [{ ...good, shop: 2 ** 53 }, "INT64_UNSAFE", "shop"],
      [{ ...good, amount: Number.NaN }, "NUMBER_NOT_FINITE", "amount"],
      [{ ...good, at: "yesterday" }, "TIME_INVALID", "at"],
      [{ ...good, at: { micros: START + MINUTE + 1 } }, "EVENT_TOO_FAR_AHEAD", "at"],
      [{ ...good, amount: -1 }, "CONSTRAINT_FAILED", "amount_is_positive"],
      [{ ...good, country: null }, "KEY_MISSING", "country"],
      [{ ...good, user: "ü".repeat(513) }, "KEY_TOO_LONG", undefined],
      [{ ...good, country: "|".repeat(512) }, "KEY_TOO_LONG", undefined],
    ];
    for (const [row, code, where] of cases) expect(refusal(row), JSON.stringify(row)).toEqual({ code, where });
    expect(refusal({ ...good, at: { micros: START + MINUTE } })).toBe("accepted");
    expect(refusal({ ...good, user: "ü".repeat(512) })).toBe("accepted");
    expect(refusal({ ...good, country: "|".repeat(511) })).toBe("accepted");
  });

  it("measures the future against the time an event becomes known", () => {
    const past = (START - 60 * MINUTE) as Micros;
    expect(refusal({ ...payment(0), at: { micros: START } }, past)).toEqual({
      code: "EVENT_TOO_FAR_AHEAD",
      where: "at",
    });
    expect(refusal({ ...payment(0), at: { micros: past } }, past)).toBe("accepted");
  });

  it("offers the names a caller may have meant", () => {
    expect(() => door.check({ ...payment(1), amuont: 1 }, START)).toThrow(/did you mean "amount"/);
  });
});
