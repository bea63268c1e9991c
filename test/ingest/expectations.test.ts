/** What refuses rows at the door: the same by a push, an import and a router of Kafka. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import type { StreamDefinition } from "../../src/define/definition.ts";
import type { ExpectationDefinition } from "../../src/define/expectation-definition.ts";
import { isOnefoldError } from "../../src/base/errors.ts";
import { compileDoor } from "../../src/ingest/door.ts";
import { refuseBlocked } from "../../src/ingest/blocked-push.ts";
import { isBlocking } from "../../src/ingest/expectations.ts";
import type { KafkaRecord } from "../../src/ingest/kafka/records.ts";
import { routeParts } from "../../src/ingest/kafka/route-parts.ts";
import { compileRouter } from "../../src/ingest/kafka/router.ts";
import { planRoutes } from "../../src/ingest/kafka/routes.ts";
import { historyOf, importFiles, newFolder, openArchive, source as orders, write } from "./import-world.ts";
import { payment, payments, START, user, userView } from "./payments.ts";

function expected(
  column: string,
  rule: ExpectationDefinition["rule"],
  severity: ExpectationDefinition["severity"] = "quarantine",
): ExpectationDefinition {
  return { name: `${column}_${rule.kind}`, column, rule, severity, windowMicros: 3600e6 as Micros };
}

const careful: StreamDefinition = {
  ...payments,
  expectations: [
    expected("amount", { kind: "range", min: 1, max: 500 }),
    expected("country", { kind: "oneOf", values: ["FR", "DE"] }),
    expected("user", { kind: "pattern", pattern: "^u\\d+$" }, "block"),
    expected("large", { kind: "oneOf", values: [false] }, "warn"),
  ],
};
const views = [{ definition: userView, entity: user }];

function refusal(row: unknown, source: StreamDefinition = careful): unknown {
  try {
    compileDoor(source, views).check(row, START);
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    return { code: error.code, where: error.where, message: error.message, blocks: isBlocking(error) };
  }
  return "accepted";
}

describe("a row that does not meet an expectation", () => {
  it("is refused with column, value and expectation, unless the expectation only warns", () => {
    expect(refusal(payment(1))).toBe("accepted");
    expect(refusal({ ...payment(1), amount: 60 })).toBe("accepted");
    expect(refusal({ ...payment(1), amount: 501 })).toEqual({
      code: "EXPECTATION_FAILED",
      where: "amount_range",
      message: 'column "amount" is 501: expectation "amount_range" is that amount is from 1 to 500',
      blocks: false,
    });
    expect(refusal({ ...payment(1), country: "IT" })).toMatchObject({ where: "country_oneOf", blocks: false });
    expect(refusal({ ...payment(1), user: "x" })).toMatchObject({ where: "user_pattern", blocks: true });
    // Whatever else it fails.
    expect(refusal({ ...payment(1), user: "x", amount: 501 })).toMatchObject({ blocks: true });
  });

  it("is met by null, and never by NaN", () => {
    expect(refusal({ ...payment(1), amount: null })).toBe("accepted");
    const open = { ...careful, allowNonFinite: true };
    expect(refusal({ ...payment(1), amount: Number.NaN }, { ...open, constraints: [] })).toMatchObject({
      where: "amount_range",
    });
  });

  it("blocks a push before anything of it is taken in, by its place", async () => {
    const door = compileDoor(careful, views);
    const rows = [payment(1), { ...payment(2), amount: 501 }, "no row", { ...payment(3), user: "x" }];
    await expect(refuseBlocked(door, "payments", rows)).rejects.toMatchObject({
      code: "PUSH_BLOCKED",
      message: 'row 4: column "user" is "x": expectation "user_pattern" is that user matches ^u\\d+$',
    });
    await refuseBlocked(door, "payments", rows.slice(0, 3));
    // Far ahead of any clock: what blocks does not hang on the time.
    const ahead = { ...payment(3), user: "x", at: "2200-01-01T00:00:00Z" };
    await expect(refuseBlocked(door, "payments", [ahead])).rejects.toMatchObject({ code: "PUSH_BLOCKED" });
  });
});

describe("a record of Kafka that does not meet an expectation", () => {
  const [plan] = planRoutes([user, { ...careful, kafka: { topic: "payments" } }, userView], "onefold");
  const record = (row: unknown): KafkaRecord => {
    const value = Buffer.from(JSON.stringify(row));
    return { offset: 7, timestampMs: START / 1000, key: null, value, headers: () => new Map() };
  };

  it("is refused by the router, also where the expectation blocks: there is no push", () => {
    const counts = new Map([plan!.routes[0]!, plan!.claims!].map(({ topic }) => [topic, 4]));
    const router = compileRouter(plan!, "id", counts);
    const sent = { ...payment(1), at: "2026-01-01T00:00:00Z" };
    expect(router.route(record(sent), 0, START)).toHaveProperty("records");
    for (const [bad, name] of [
      [{ amount: 501 }, "amount_range"],
      [{ user: "x" }, "user_pattern"],
    ] as const) {
      expect(router.route(record({ ...sent, ...bad }), 0, START)).toMatchObject({
        code: "EXPECTATION_FAILED",
        stage: "door",
        message: expect.stringContaining(name) as string,
      });
    }
  });

  it("was judged when it was routed: the fold of a routed topic does not judge it again", () => {
    const row = { ...payment(1), amount: 501, at: { micros: START } };
    const [routed] = routeParts(plan!);
    expect(routed!.door.check(row, START).row[5]).toBe(501);
    const direct = { ...plan!, routes: plan!.routes.map((route) => ({ ...route, isDirect: true })) };
    expect(() => routeParts(direct)[0]!.door.check(row, START)).toThrow("amount_range");
  });
});

describe("an import with expectations", () => {
  const strict: StreamDefinition = {
    ...orders,
    derived: [],
    constraints: [],
    expectations: [
      expected("key", { kind: "pattern", pattern: "^[a-c]|x$|\\d{2}|'|\\W$" }),
      expected("amount", { kind: "range", min: -10, max: 1e6 }),
      expected("number", { kind: "oneOf", values: [1, 2, 3, 4, 5, 6, 7, 8] }),
      expected("wide", { kind: "pattern", pattern: "7$" }),
      expected("flag", { kind: "oneOf", values: [true] }),
      expected("at", { kind: "range", max: 9.7e14 }),
    ],
  };
  const door = compileDoor(strict, []);

  it("lets in exactly what the door lets in, with its codes", async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 5 }),
      fc.string({ unit: "grapheme", maxLength: 4 }),
      fc.constantFrom("a", "b'", "x"),
    );
    const rare = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 4 });
    const row = fc.record({
      key: text.filter((one) => !one.includes("\0")),
      number: rare(fc.integer({ min: 1, max: 9 })),
      wide: rare(fc.integer({ min: 0, max: 99 }).map((n) => (n % 3 === 0 ? 7 : n))),
      amount: rare(fc.double({ min: -20, max: 2e6, noNaN: true })),
      flag: rare(fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })),
      at: fc.oneof(
        { weight: 5, arbitrary: fc.constant("2000-01-01T00:00:00Z") },
        { weight: 1, arbitrary: fc.constant("2001-01-01T00:00:00Z") },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 200 }), async (rows) => {
        newFolder();
        const path = await write("ndjson", rows.map((one) => JSON.stringify(one)).join("\n"));
        const { result, letters } = await importFiles(await openArchive(strict), [path], { source: strict });
        const refused = rows.flatMap((one) => {
          try {
            door.check(JSON.parse(JSON.stringify(one)), Number.MAX_SAFE_INTEGER as Micros);
            return [];
          } catch (error) {
            return [`${(error as { code: string }).code} ${(error as { where: string }).where}`];
          }
        });
        const told = letters.map(({ code, message }) => `${code} ${/expectation "(\w+)"/.exec(message)?.[1]}`);
        expect(told.toSorted()).toEqual(refused.toSorted());
        expect(await historyOf(result.after, strict)).toHaveLength(rows.length - refused.length);
      }),
      { numRuns: 12 },
    );
  });

  it("is refused whole by one that blocks, which says the file and the row", async () => {
    const blocking = { ...strict, expectations: [expected("amount", { kind: "range", max: 10 }, "block")] };
    const archive = await openArchive(blocking);
    const rows = [1, 2, 11, 3].map((amount) => JSON.stringify({ key: "a", amount, at: "2000-01-01T00:00:00Z" }));
    const path = await write("ndjson", rows.join("\n"));
    await expect(importFiles(archive, [path], { source: blocking })).rejects.toMatchObject({
      code: "PUSH_BLOCKED",
      where: path,
      message: 'row 3: column "amount" is 11: expectation "amount_range" is that amount is at most 10',
    });
    expect((await archive.files()).history).toEqual([]);
  });
});
