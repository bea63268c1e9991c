/** Judgements over random events in an archive, held against counting them one by one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceDefinition } from "../../../src/define/definition.ts";
import type { ExpectationDefinition } from "../../../src/define/expectation-definition.ts";
import { compileDerived } from "../../../src/fold/derive.ts";
import { col, type Expectation, expectation, stream, t } from "../../../src/index.ts";
import { judge, type Judgement } from "../../../src/monitor/quality/judge.ts";
import { judgedEvents, type JudgedTable, type Stretch } from "../../../src/monitor/quality/judged-table.ts";
import { openEventArchive } from "../../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";
import { appendLive, type ArchivedEvent } from "../../offline-store/live-events.ts";

const SEED = firstSeed();
const MINUTE = 60e6;
const START = 1_700_000_000e6;

const expected = [
  expectation("amount", { range: { min: -5, max: 5 } }),
  expectation("amount", { range: { min: -5 }, name: "at_least" }),
  expectation("count", { range: { min: 2, max: 7.5 } }),
  expectation("at", { range: { max: new Date((START + 20 * MINUTE) / 1000) }, name: "early" }),
  // Which the compiler refuses, and other languages may write.
  expectation("wide", { range: { max: 500 } }) as unknown as Expectation<never, "telling">,
  expectation("code", { oneOf: ["a", "b"], tolerate: 0.4 }),
  expectation("code", { pattern: "^[a-c]$" }),
  expectation("wide", { pattern: "^9" }),
  expectation("flag", { oneOf: [true] }),
  expectation("double", { range: { max: 10 } }),
  expectation("low", { oneOf: ["a", "ä"] }),
  expectation("double", { nullRate: { max: 0.2 } }),
  expectation("amount", { nullRate: { max: 0.5 }, name: "mostly_there" }),
  expectation("code", { unique: true }),
  expectation("wide", { unique: true }),
  expectation("count", { monotone: "increasing" }),
  expectation("amount", { monotone: "decreasing", per: "code" }),
] as const;
const source = stream("s", {
  columns: {
    at: t.timestamp(),
    code: t.string().nullable(),
    amount: t.float64().nullable(),
    count: t.int64().nullable(),
    wide: t.int64({ wide: true }).nullable(),
    flag: t.bool().nullable(),
  },
  eventTime: "at",
  allowNonFinite: true,
  derive: { double: col("count").multiply(2), low: col("code").lower() },
  expect: expected,
}) as SourceDefinition;

function randomEvents(random: SeededRandom, count: number): ArchivedEvent[] {
  let knownTime = START;
  return Array.from({ length: count }, (_, offset): ArchivedEvent => {
    knownTime += random.integer(0, 20) * 1e6;
    const eventTime = knownTime - random.integer(0, 10) * 1e6;
    if (random.oneIn(25)) {
      return { offset, eventTime: Number.NaN, knownTime, id: "x", row: source.columns.map(() => null) };
    }
    const maybe = (value: Value): Value => (random.oneIn(6) ? null : value);
    const amount = random.oneIn(20) ? random.pick([Number.NaN, Infinity, -Infinity]) : random.integer(-80, 80) / 10;
    const wide = random.pick(["9223372036854775807", "9223372036854775806", "500", "501", "-9"]);
    const row = [
      eventTime,
      maybe(random.pick(["a", "b", "C", "Ä", "d"])),
      maybe(amount),
      maybe(random.integer(0, 9)),
      maybe(wide),
      maybe(random.oneIn(2)),
    ];
    return { offset, eventTime, knownTime, id: null, row };
  });
}

/** Samples and failing, by going through the events. */
function naive(one: ExpectationDefinition, events: readonly ArchivedEvent[]): [number, number] {
  const { derive, columns } = compileDerived(source);
  const rows = events.map(({ row }) => derive([...row]));
  const at = (name: string): number => columns.findIndex((column) => column.name === name);
  const all = rows.map((row) => row[at(one.column!)] ?? null);
  const values = all.filter((value) => value !== null);
  const { rule } = one;
  const failing = (fails: (value: any) => boolean): [number, number] => [values.length, values.filter(fails).length];
  switch (rule.kind) {
    case "range": {
      const number = (value: unknown): number | bigint =>
        typeof value === "string" ? BigInt(value) : (value as number);
      return failing((value) => !(number(value) >= (rule.min ?? -Infinity) && number(value) <= (rule.max ?? Infinity)));
    }
    case "oneOf":
      return failing((value) => !rule.values.includes(value));
    case "pattern":
      return failing((value) => !new RegExp(rule.pattern, "u").test(value));
    case "nullRate":
      return [all.length, all.length - values.length];
    case "unique":
      return [values.length, values.length - new Set(values).size];
    case "monotone": {
      const last = new Map<unknown, number>();
      let wrong = 0;
      for (const row of rows) {
        const value = row[at(one.column!)] as number | null;
        if (value === null) continue;
        const key = rule.per === undefined ? 0 : row[at(rule.per)];
        const before = last.get(key);
        // As the engine sorts: NaN above all numbers.
        const rank = (x: number): number[] => (Number.isNaN(x) ? [1, 0] : [0, x]);
        const compared = before === undefined ? 0 : compare(rank(value), rank(before));
        if (rule.direction === "increasing" ? compared < 0 : compared > 0) wrong++;
        last.set(key, value);
      }
      return [values.length, wrong];
    }
    default:
      throw new Error(rule.kind);
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  return a[0]! - b[0]! || (a[1]! < b[1]! ? -1 : a[1]! > b[1]! ? 1 : 0);
}

let engine: QueryEngine;
let folder: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "onefold-judge-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function archived(events: readonly ArchivedEvent[], name: string): Promise<JudgedTable> {
  const store = openOfflineStore(join(folder, name), engine);
  const archive = await openEventArchive(store, engine, source);
  for (let i = 0; i < events.length; i += 100) await appendLive(archive, events.slice(i, i + 100));
  const { live } = await archive.files();
  return judgedEvents(engine, source, live);
}

describe("a judgement over a stretch of time", () => {
  it(`counts what counting one by one counts (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const events = randomEvents(random, 250);
    const table = await archived(events, "random");
    const end = events.at(-1)!.knownTime;
    const stretches: Stretch[] = [
      { startMicros: START - 1, endMicros: end },
      { startMicros: events[60]!.knownTime, endMicros: events[170]!.knownTime },
      { startMicros: end, endMicros: end + MINUTE },
    ];
    for (const stretch of stretches) {
      const seen = events.filter(
        ({ knownTime, eventTime }) =>
          !Number.isNaN(eventTime) && knownTime > stretch.startMicros && knownTime <= stretch.endMicros,
      );
      for (const one of source.expectations!) {
        const judged = await judge(table, one, stretch, { sinceMicros: START });
        const [samples, failing] = naive(one, seen);
        expect([one.name, judged.samples, judged.failing]).toEqual([one.name, samples, failing]);
        const value = samples === 0 ? null : failing / samples;
        const threshold = one.rule.kind === "nullRate" ? one.rule.max : (one.tolerate ?? 0);
        expect(judged).toMatchObject({ value, threshold, isMet: value === null || value <= threshold });
        if (failing > 0 && one.rule.kind !== "nullRate") expect(judged.examples.length).toBeGreaterThan(0);
      }
    }
  });

  it("shows values that do not meet it, those that came most often first", async () => {
    const row = (code: string | null, wide: string): Value[] => [START, code, 1, 1, wide, true];
    const codes = ["a", "x", "y", "x", null];
    const events = codes.map((code, offset): ArchivedEvent => {
      return { offset, eventTime: START, knownTime: START, id: null, row: row(code, "9223372036854775807") };
    });
    const table = await archived(events, "shown");
    const stretch = { startMicros: START - 1, endMicros: START };
    const of = async (name: string): Promise<Judgement> =>
      judge(
        table,
        source.expectations!.find((one) => one.name === name)!,
        stretch,
        { sinceMicros: START },
      );
    expect((await of("code_pattern")).examples).toEqual([
      { value: "x", count: 2 },
      { value: "y", count: 1 },
    ]);
    expect(await of("wide_unique")).toMatchObject({
      failing: 4,
      examples: [{ value: "9223372036854775807", count: 5 }],
      expected: "no two values of wide are the same",
    });
  });

  it("counts events in whole stretches of the rate, none of which began before the source did", async () => {
    const times = [0, 10, 59, 60, 61, 130, 250].map((second) => START + second * 1e6);
    const events = times.map((knownTime, offset): ArchivedEvent => {
      return { offset, eventTime: knownTime, knownTime, id: null, row: [knownTime, null, null, null, null, null] };
    });
    const table = await archived(events, "rate");
    const rate = (min: number, max?: number): ExpectationDefinition =>
      expectation({ arrivalRate: { min, ...(max === undefined ? {} : { max }), per: "1m" } }).definition;
    const over = async (one: ExpectationDefinition, from: number, to: number, since = START): Promise<Judgement> =>
      judge(table, one, { startMicros: START + from * MINUTE, endMicros: START + to * MINUTE }, { sinceMicros: since });
    // (0, 1m]: 10, 59, 60; (1m, 2m]: 61; (2m, 3m]: 130; (3m, 4m]: none; (4m, 5m]: 250.
    expect(await over(rate(1), 0, 3)).toMatchObject({ isMet: true, value: 1, samples: 5, failing: 0 });
    expect(await over(rate(1), 0, 4)).toMatchObject({ isMet: false, value: 0, threshold: 1, failing: 1 });
    expect(await over(rate(0, 2), 0, 2)).toMatchObject({ isMet: false, value: 3, threshold: 2, failing: 1 });
    expect(await over(rate(1), 3, 4)).toMatchObject({ isMet: false, value: 0 });
    expect(await over(rate(1), 3, 4, START + 3 * MINUTE + 1)).toMatchObject({ isMet: true, value: null });
    expect(await over(rate(9), 0.5, 1)).toMatchObject({ isMet: true, value: null, samples: 0 });
  });
});
