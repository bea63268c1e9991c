import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import { payments, spending, user } from "../../examples/shop/features.ts";
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import {
  batch,
  count,
  custom,
  type EventOf,
  entity,
  first,
  lastK,
  mean,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { expectView, late, rejected, SeededRandom } from "../../src/testing/index.ts";

type Payment = EventOf<typeof payments>;
const payment = (payment_id: string, time: string, amount: number, parts: Partial<Payment> = {}): Payment => ({
  payment_id,
  user_id: "ada",
  paid_at: `2026-01-01T${time}Z`,
  amount,
  ...parts,
});
const at = (time: string): string => `2026-01-01T${time}Z`;
const two = [payment("p1", "10:00:00", 10), payment("p2", "10:30:00", 20, { country: "FR" })];

function failure(run: () => unknown): AssertionError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return error as AssertionError;
  }
  throw new Error("it passed");
}

describe("expectView", () => {
  it("reads named features at a time, and several times of one history", () => {
    const reading = expectView(spending)
      .after(two)
      .at(at("11:00:00"))
      .toEqual({ payments_1h: 1, amount_24h: 30, last_country: "FR" })
      .at(new Date(Date.UTC(2026, 0, 1, 10, 30)))
      .toEqual({ payments_1h: 2 })
      .at({ micros: Date.UTC(2026, 0, 1, 10) * 1000 - 1 })
      .toEqual({ payments_1h: 0, amount_24h: 0, mean_amount_7d: null });
    expect(
      reading
        .after([payment("p3", "10:40:00", 5)])
        .at(at("10:59:59"))
        .values(),
    ).toEqual({
      payments_1h: 3,
      amount_24h: 35,
      mean_amount_7d: 35 / 3,
      large_payments_7d: 0,
      largest_of_last_10: 20,
      last_country: "FR",
    });
  });

  it("takes rows in by known time, whatever their order in the test", () => {
    const history = expectView(spending).after([...two].reverse());
    history.at(at("10:15:00")).toEqual({ payments_1h: 1, amount_24h: 10 });
    history.at(at("10:30:00")).toEqual({ amount_24h: 30, last_country: "FR" });
  });

  it("sees a late row only once it is known, and counts it by when it happened", () => {
    const row = payment("p3", "10:10:00", 300);
    const history = expectView(spending).after([...two, late(row, { knownAt: at("10:50:00") })]);
    history.at(at("10:49:59")).toEqual({ amount_24h: 30, large_payments_7d: 0 });
    history.at(at("10:50:00")).toEqual({ amount_24h: 330, large_payments_7d: 1, payments_1h: 3 });
    history.at(at("11:10:00")).toEqual({ payments_1h: 1 });
    expectView(spending)
      .after(two)
      .after([row], { knownAt: at("12:00:00") })
      .at(at("11:59:59"))
      .toEqual({ amount_24h: 30 });
    // `late` says more than the option beside it
    const mixed = expectView(spending).after([late(row, { knownAt: at("10:20:00") })], { knownAt: at("12:00:00") });
    mixed.at(at("10:20:00")).toEqual({ amount_24h: 300 });
  });

  it("knows rows of a source with availableAfter as an import does", () => {
    const delayed = stream("delayed", {
      columns: { user_id: t.string(), paid_at: t.timestamp() },
      eventTime: "paid_at",
      availableAfter: "30s",
    });
    const counts = view("counts", { entity: user, source: delayed, features: { n: count() } });
    expectView(counts)
      .after([{ user_id: "ada", paid_at: at("10:00:00") }])
      .at(at("10:00:29"))
      .toEqual({ n: 0 })
      .at(at("10:00:30"))
      .toEqual({ n: 1 });
  });

  it("asks which entity only where the events are of several", () => {
    const history = expectView(spending).after([...two, payment("p3", "10:00:00", 7, { user_id: "bob" })]);
    history.of({ user_id: "bob" }).at(at("10:59:00")).toEqual({ amount_24h: 7 });
    history
      .of({ user_id: "eve" })
      .at(at("10:59:00"))
      .toHaveStatus({ amount_24h: "NOT_FOUND" })
      .toEqual({ amount_24h: 0 });
    expect(() => history.at(at("10:59:00"))).toThrow(/of 2 entities: user_id=ada; user_id=bob/);
    expect(() => history.of({ user: "bob" } as never)).toThrow('entity user has no key column "user"');
    expect(() => history.of({} as never)).toThrow(expect.objectContaining({ code: "KEY_MISSING" }));
    expectView(spending).at(at("10:00:00")).toEqual({ payments_1h: 0, last_country: null });
  });

  it("compares keys of several columns, times, lists and numbers that are not exact", () => {
    const lane = entity("lane", { from: t.string(), to: t.int64() });
    const trips = stream("trips", {
      columns: { from: t.string(), to: t.int64(), at: t.timestamp(), fare: t.float64() },
      eventTime: "at",
    });
    const fares = view("fares", {
      entity: lane,
      source: trips,
      features: { started: first("at"), mean: mean("fare"), newest: lastK("fare", 2), times: lastK("at", 2) },
    });
    const rows = [1, 0, 0].map((fare, i) => ({ from: "a|b", to: 7, at: at(`10:00:0${i}`), fare }));
    const reading = expectView(fares).after(rows).of({ from: "a|b", to: 7 }).at(at("10:01:00"));
    reading
      .toEqual({ started: at("10:00:00"), newest: [0, 0], times: [at("10:00:01"), new Date(at("10:00:02"))] })
      .toEqual({ started: { micros: Date.UTC(2026, 0, 1, 10) * 1000 } })
      .toEqual({ started: reading.values().started, newest: [-0, 0] })
      .toBeCloseTo({ mean: 0.333_333_333_333, newest: [1e-3, 0], started: at("10:00:00") }, { within: 1e-3 })
      .toBeCloseTo({ mean: 0.333_333_333_333 });
    const off = failure(() => reading.toBeCloseTo({ mean: 0.34 }, { within: 1e-3 }));
    expect(off.message).toContain("mean: expected 0.34 within 0.001, got 0.3333333333333333");
    expect(failure(() => reading.toEqual({ mean: 0.333_333_333_333 })).message).toContain(
      "mean: expected 0.333333333333,",
    );
    expect(failure(() => reading.toBeCloseTo({ started: at("10:00:01") })).message).toContain(at("10:00:01"));
  });

  it("drops a second row with the same id, and says so where a value differs", () => {
    const history = expectView(spending).after([...two, payment("p1", "10:40:00", 99)]);
    history.at(at("10:59:00")).toEqual({ payments_1h: 2, amount_24h: 30 });
    const { message } = failure(() => history.at(at("10:59:00")).toEqual({ payments_1h: 3 }));
    expect(message).toContain('(row 3 was dropped: an event with id "p1" is there already)');
    // dedupeWithin is 7 days
    history
      .after([payment("p1", "", 1, { paid_at: "2026-01-08T10:40:01Z" })])
      .at("2026-01-08T11:00:00Z")
      .toEqual({ payments_1h: 1 });
  });

  it("goes through the state's codec between events, with custom states of any JSON shape", () => {
    const seen = custom("seen", {
      output: t.string(),
      empty: (): { names: string[] } => ({ names: [] }),
      add: (state, name: string) => ({ names: [...state.names, name] }),
      merge: (a, b) => ({ names: [...a.names, ...b.names] }),
      read: ({ names }) => names.join(),
    });
    const visited = view("visited", {
      entity: user,
      source: payments,
      features: { all: seen("country").over({ last: 2 }), ever: seen("country") },
    });
    const rows = ["DE", "FR", "IT"].map((country, i) => payment(`p${i}`, `10:00:0${i}`, 1, { country }));
    expectView(visited).after(rows).at(at("10:01:00")).toEqual({ all: "FR,IT", ever: "DE,FR,IT" });
  });

  it("takes a batch source's rows, which have no clock to run ahead of", () => {
    const refunds = batch("refunds", {
      columns: { refund: t.string(), user_id: t.string(), at: t.timestamp() },
      eventTime: "at",
      id: "refund",
      format: "csv",
      location: "refunds.csv",
    });
    const refunded = view("refunded", { entity: user, source: refunds, features: { n: count().over("1h") } });
    const row = { refund: "r1", user_id: "ada", at: at("10:10:00") };
    expectView(refunded)
      .after([late(row, { knownAt: at("10:00:00") }), row])
      .at(at("10:30:00"))
      .toEqual({ n: 1 });
  });
});

describe("expectView, with rows that are refused", () => {
  it("fails with code, reason and the row, unless that was expected", () => {
    const wrong = payment("p3", "10:00:00", -1);
    const error = failure(() => expectView(spending).after([...two, wrong]));
    expect(error.message).toBe(
      `row 3 ${JSON.stringify(wrong)} was refused with CONSTRAINT_FAILED: constraint "amount_is_positive" does not hold`,
    );
    expectView(spending)
      .after([...two, rejected(wrong, "CONSTRAINT_FAILED")])
      .at(at("10:59:00"))
      .toEqual({ amount_24h: 30 });
    expectView(spending)
      .toReject(wrong, "CONSTRAINT_FAILED")
      .toReject({ ...wrong, amount: "1" }, "TYPE_MISMATCH");
    expectView(spending).toReject(7, "REQUEST_INVALID").toReject({ payment_id: "p" }, "NULL_NOT_ALLOWED");
    expectView(spending).toReject({ ...two[0], paid_at: "yesterday" }, "TIME_INVALID");
    expectView(spending).toReject({ ...two[0], amuont: 1 }, "COLUMN_UNKNOWN");
  });

  it("fails where a row was to be refused and was let in, or was refused for another reason", () => {
    expect(failure(() => expectView(spending).toReject(two[0], "CONSTRAINT_FAILED")).message).toContain(
      "was let in; expected it to be refused with CONSTRAINT_FAILED",
    );
    const wrong = payment("p3", "10:00:00", -1);
    expect(failure(() => expectView(spending).toReject(wrong, "TYPE_MISMATCH")).message).toMatch(
      /refused with CONSTRAINT_FAILED: .*; expected TYPE_MISMATCH/,
    );
  });

  it("refuses a row whose time lies ahead of the clock at which it is known", () => {
    const ahead = late(payment("p1", "10:02:00", 1), { knownAt: at("10:00:59") });
    expectView(spending).after([rejected(ahead, "EVENT_TOO_FAR_AHEAD")]);
    // within maxFuture it is let in, and counts from when it was known
    expectView(spending)
      .after([late(payment("p1", "10:01:00", 1), { knownAt: at("10:00:30") })])
      .at(at("11:00:29"))
      .toEqual({ payments_1h: 1 });
  });

  it("counts a row that a custom aggregation throws at as refused", () => {
    const unlucky = custom("unlucky", {
      output: t.int64(),
      empty: () => 0,
      add: (state, amount: number) => {
        if (amount === 13) throw new Error("thirteen");
        return state + 1;
      },
      read: (state) => state,
    });
    const lucky = view("lucky", {
      entity: user,
      source: payments,
      features: { n: unlucky("amount"), total: sum("amount") },
    });
    const thirteen = payment("p3", "10:40:00", 13);
    expect(failure(() => expectView(lucky).after([...two, thirteen])).message).toContain(
      "refused with EVENT_POISON: thirteen",
    );
    expectView(lucky)
      .after([...two, rejected(thirteen, "EVENT_POISON")])
      .at(at("11:00:00"))
      .toEqual({ n: 2, total: 30 });
  });
});

describe("a failed expectation", () => {
  it("names each wrong feature, what was expected, what came, and the events that counted", () => {
    const later = late(payment("p4", "10:20:00", 1), { knownAt: at("12:00:00") });
    const history = expectView(spending).after([payment("p0", "09:00:00", 5), ...two, later]);
    const error = failure(() =>
      history.at(at("10:45:00")).toEqual({ payments_1h: 3, amount_24h: 35, large_payments_7d: 1 }),
    );
    expect(error.message).toBe(`spending@1 of user_id=ada at ${at("10:45:00")}:
  payments_1h: expected 3, got 2
    counted: p1 (${at("10:00:00")}), p2 (${at("10:30:00")})
    not counted: p0 (before-window), p4 (known-later)
  large_payments_7d: expected 1, got 0
    counted: none
    not counted: p0 (predicate), p1 (predicate), p2 (predicate), p4 (known-later)`);
    expect(error).toMatchObject({
      operator: "toEqual",
      expected: { payments_1h: 3, amount_24h: 35, large_payments_7d: 1 },
      actual: { payments_1h: 2, amount_24h: 35, large_payments_7d: 0 },
      code: "ERR_ASSERTION",
    });
    // the stack begins in the test, not in the library
    expect(error.stack!.split("\n").find((line) => line.includes("    at "))).toContain("expect-view.test.ts");
  });

  it("shows inputs, statuses, and no more events than a person reads", () => {
    const rows = Array.from({ length: 9 }, (_, i) => payment(`p${i}`, `10:00:0${i}`, i + 1));
    const reading = expectView(spending).after(rows).at(at("10:30:00"));
    expect(failure(() => reading.toEqual({ amount_24h: 44 })).message).toContain(
      `counted: 4 before, then p4 (${at("10:00:04")}: 5), `,
    );
    const missing = expectView(spending).after(rows).of({ user_id: "eve" }).at(at("10:30:00"));
    const { message } = failure(() => missing.toEqual({ mean_amount_7d: 1 }));
    expect(message).toContain("mean_amount_7d: expected 1, got null (NOT_FOUND)\n    no event is of this entity");
  });

  it("tells statuses apart", () => {
    const limited = view("limited", { entity: user, source: payments, ttl: "1h", features: { total: sum("amount") } });
    const reading = expectView(limited).after(two).at(at("12:00:00"));
    reading.toHaveStatus({ total: "OUTSIDE_MAX_AGE" }).toEqual({ total: null });
    expect(reading.statuses()).toEqual({ total: "OUTSIDE_MAX_AGE" });
    const error = failure(() => reading.toHaveStatus({ total: "PRESENT" }));
    expect(error.message).toContain("total: expected PRESENT, got null (OUTSIDE_MAX_AGE)");
    expect(error).toMatchObject({ actual: { total: "OUTSIDE_MAX_AGE" }, expected: { total: "PRESENT" } });
  });
});

describe("a test that is itself wrong", () => {
  it("is told so: an unknown feature, nothing named, no time, no view", () => {
    const reading = expectView(spending).after(two).at(at("11:00:00"));
    // @ts-expect-error: there is no such feature
    expect(() => reading.toEqual({ amount_24: 1 })).toThrow(
      expect.objectContaining({ code: "FEATURE_UNKNOWN", candidates: ["amount_24h"] }),
    );
    // @ts-expect-error: an int64
    expect(() => reading.toEqual({ payments_1h: "1" })).toThrow('expected "1", got 1');
    expect(() => reading.toEqual({})).toThrow("names no feature");
    expect(() => expectView(spending).after(two).at("noon")).toThrow(expect.objectContaining({ code: "TIME_INVALID" }));
    expect(() => expectView({ ...spending } as unknown as typeof spending)).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID" }),
    );
  });

  it("does not compile with rows of another shape", () => {
    const history = expectView(spending);
    // @ts-expect-error: a number is needed
    expect(() => history.after([{ ...two[0]!, amount: "1" }])).toThrow("TYPE_MISMATCH");
    // @ts-expect-error: paid_at is missing
    expect(() => history.after([{ payment_id: "p1", user_id: "ada", amount: 1 }])).toThrow("NULL_NOT_ALLOWED");
    // @ts-expect-error: a number is needed behind late, too
    expect(() => history.after([late({ ...two[0]!, amount: "1" }, { knownAt: at("12:00:00") })])).toThrow(
      "TYPE_MISMATCH",
    );
    // @ts-expect-error: another key column
    expect(() => history.of({ user: "ada" })).toThrow("no key column");
  });
});

describe("expectView and brute force", () => {
  it("agree on windows of random histories of several entities, with late rows in any order", () => {
    for (let seed = 1; seed <= 300; seed++) compare(seed);
  });

  function compare(seed: number): void {
    const random = new SeededRandom(seed);
    const start = Date.UTC(2026, 0, 1) * 1000;
    const rows = Array.from({ length: random.integer(1, 30) }, (_, i) => {
      const happened = start + random.integer(0, 7200) * 1_000_000;
      const known = random.oneIn(3) ? happened + random.integer(0, 7200) * 1_000_000 : happened;
      return { id: `p${i}`, user: random.pick(["ada", "bob"]), happened, known, amount: random.integer(1, 400) };
    });
    const history = expectView(spending).after(
      rows.map(({ id, user: user_id, happened, known, amount }) =>
        late(
          { payment_id: id, user_id, paid_at: formatMicros(happened as Micros), amount },
          { knownAt: { micros: known } },
        ),
      ),
    );
    for (let i = 0; i < 5; i++) {
      const asOf = start + random.integer(0, 14_400) * 1_000_000;
      const name = random.pick(["ada", "bob"]);
      const seen = rows.filter((row) => row.user === name && row.known <= asOf);
      const lastHour = seen.filter((row) => row.happened > asOf - 3600e6);
      const large = seen.filter((row) => row.amount > 200);
      const total = seen.reduce((sum, row) => sum + row.amount, 0);
      try {
        history
          .of({ user_id: name })
          .at({ micros: asOf })
          .toEqual({
            payments_1h: lastHour.length,
            amount_24h: total,
            large_payments_7d: large.length,
            mean_amount_7d: seen.length === 0 ? null : total / seen.length,
          });
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
});
