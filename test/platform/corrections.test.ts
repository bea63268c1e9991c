/**
 * Events taken back and replaced by id, at random: every state is the fold, in log order, of the events that count, a
 * training row at any time sees what was known then, and the audit computes all of it again. Across restarts, and across
 * crashes behind the log's append.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type ViewFold, type ViewState } from "../../src/fold/view-fold.ts";
import { col, count, entity, last, lastK, mean, service, stream, sum, t, view } from "../../src/index.ts";
import type { Correction } from "../../src/ingest/corrections.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { Row } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const USERS = ["ann", "bob", "cy"];
const SHOPS = ["s1", "S2"];

const user = entity("user", { user: t.string() });
const shop = entity("shop", { shop: t.string() });
const payments = stream("payments", {
  columns: { id: t.string(), user: t.string(), shop: t.string().nullable(), amount: t.float64(), at: t.timestamp() },
  derive: { shop_code: col("shop").lower(), large: col("amount").gt(50) },
  eventTime: "at",
  id: "id",
});
const byUser = view("by_user", {
  version: 1,
  entity: user,
  source: payments,
  exactEvents: 4,
  features: {
    n: count(),
    total: sum("amount"),
    recent: sum("amount").over("10m"),
    large: count().where(col("large").eq(true)).over("1h"),
    last_amount: last("amount"),
    last_amounts: lastK("amount", 3),
    mean_of_last: mean("amount").over({ last: 3 }),
  },
});
/** Keyed by a derived column; some events have no key for it. */
const byShop = view("by_shop", {
  version: 1,
  entity: shop,
  source: payments,
  key: { shop: "shop_code" },
  features: { shop_n: count(), shop_total: sum("amount").over("30m") },
});
const VIEWS = [byUser, byShop];
const model = service("model", { features: [byUser] });
const shops = service("shops", { features: [byShop] });
const definitions = [user, shop, payments, ...VIEWS, model, shops];

/** A record of the log as a person would write it down; `row` is null for a retraction. */
interface Entry {
  readonly offset: number;
  readonly known: Micros;
  readonly at: Micros;
  readonly id: string;
  readonly row: { readonly user: string; readonly shop: string | null; readonly amount: number } | null;
}

const keyOf = (viewName: string, { row }: Entry): string | null =>
  row === null ? null : viewName === "by_user" ? row.user : (row.shop?.toLowerCase() ?? null);

/** Whether the event counts among these records: no retraction of its id stands behind it. */
const counts = (log: readonly Entry[], event: Entry): boolean =>
  event.row !== null && !log.some((one) => one.row === null && one.id === event.id && one.offset > event.offset);

/** By key: the fold of the records that count, and of a retraction where it takes an event of the key away. */
function expectedStates<S extends ViewState>(
  fold: ViewFold<S>,
  viewName: string,
  log: readonly Entry[],
): Map<string, S> {
  const states = new Map<string, S>();
  const keys = new Set(log.flatMap((one) => keyOf(viewName, one) ?? []));
  for (const key of keys) {
    const own = log.filter((one) => keyOf(viewName, one) === key);
    const isMark = (one: Entry): boolean =>
      one.row === null &&
      own.some(
        (event) => event.id === one.id && event.offset < one.offset && counts(log.slice(0, log.indexOf(one)), event),
      );
    const state = fold.empty();
    for (const one of log) {
      if (isMark(one))
        fold.fold(state, { offset: one.offset, eventTime: Number.NaN as Micros, knownTime: one.known, row: [] });
      if (keyOf(viewName, one) !== key || !counts(log, one)) continue;
      fold.fold(state, { offset: one.offset, eventTime: one.at, knownTime: one.known, row: rowOf(one) });
    }
    states.set(key, state);
  }
  return states;
}

function rowOf({ id, row, at }: Entry): Row {
  return [id, row!.user, row!.shop, row!.amount, at, row!.shop?.toLowerCase() ?? null, row!.amount > 50];
}

class World {
  readonly folder: string;
  readonly random: SeededRandom;
  readonly clock = new ReplayClock(START);
  readonly log: Entry[] = [];
  platform!: Platform;
  #nextId = 0;
  #ids: string[] = [];

  constructor(folder: string, seed: number) {
    this.folder = folder;
    this.random = new SeededRandom(seed);
  }

  async open(): Promise<void> {
    this.platform = await openPlatform({
      dataDir: this.folder,
      definitions,
      clock: this.clock,
      servingLogSampleRate: 1,
    });
    await this.platform.apply(definitions);
  }

  #row(id: string): { row: NonNullable<Entry["row"]>; at: Micros; wire: Record<string, unknown> } {
    const { random } = this;
    const row = {
      user: random.pick(USERS),
      shop: random.oneIn(5) ? null : random.pick(SHOPS),
      amount: random.integer(0, 400) / 4,
    };
    const at = (this.clock.now() - random.pick([0, 0, 1, 7, 25]) * MINUTE) as Micros;
    return { row, at, wire: { id, ...row, at: formatMicros(at) } };
  }

  async push(): Promise<void> {
    const { random } = this;
    this.clock.advanceTo((this.clock.now() + random.integer(1, 4 * MINUTE)) as Micros);
    const rows = Array.from({ length: random.integer(1, 4) }, () => this.#row(`p${this.#nextId++}`));
    const { accepted } = await this.platform.push(
      "payments",
      rows.map(({ wire }) => wire),
    );
    // a payment without a shop has no key for the view of shops, so the door refuses it
    const taken = rows.filter(({ row }) => row.shop !== null);
    strictEqual(accepted, taken.length);
    for (const { row, at, wire } of taken) this.#append(wire["id"] as string, at, row);
  }

  #append(id: string, at: Micros, row: Entry["row"]): number {
    const offset = this.log.length;
    this.log.push({ offset, known: this.clock.now(), at, id, row });
    if (row !== null) this.#ids.push(id);
    return offset;
  }

  async correct(): Promise<void> {
    const { random } = this;
    if (this.#ids.length === 0) return;
    if (random.oneIn(2)) this.clock.advanceTo((this.clock.now() + random.integer(1, 4 * MINUTE)) as Micros);
    const expected: unknown[] = [];
    const corrections = Array.from({ length: random.pick([1, 1, 2, 5]) }, (): Correction => {
      const id = random.oneIn(8) ? "nobody" : random.pick(this.#ids);
      const before = this.log.filter((one) => one.id === id && counts(this.log, one)).length;
      const isKnown = id !== "nobody";
      if (random.oneIn(2)) {
        if (before === 0) expected.push({ status: "rejected", id, code: "EVENT_UNKNOWN" });
        else expected.push({ status: "retracted", id, offset: this.#append(id, START, null), events: before });
        return { op: "retract", id };
      }
      const { row, at, wire } = this.#row(id);
      if (!isKnown) expected.push({ status: "rejected", id, code: "EVENT_UNKNOWN" });
      else if (row.shop === null) expected.push({ status: "rejected", id, code: "KEY_MISSING" });
      else {
        this.#append(id, START, null);
        expected.push({ status: "replaced", id, offset: this.#append(id, at, row), events: before });
      }
      return { op: "replace", id, event: wire };
    });
    const { outcomes } = await this.platform.correct("payments", corrections);
    deepStrictEqual(
      outcomes.map((one) => {
        const { message: _, ...told } = { message: "", ...one };
        return told;
      }),
      expected,
    );
  }

  async serve(): Promise<void> {
    for (const name of USERS) await this.platform.vector("model", { user: name }, { token: true });
    for (const name of SHOPS) await this.platform.vector("shops", { shop: name.toLowerCase() });
  }

  /** States, training sets at random times and the audit agree with what the records say. */
  async check(): Promise<number> {
    await this.platform.settle();
    for (const definition of VIEWS) {
      const fold = compileViewFold(definition, payments, definition === byUser ? user : shop);
      const expected = [...expectedStates(fold, definition.name, this.log)].filter(
        ([, { lastOffset }]) => lastOffset >= 0,
      );
      const stored = new Map(
        [...this.platform.exportStates(definition.name)].map(({ key, bytes }) => [key, hex(bytes)]),
      );
      deepStrictEqual(stored, new Map(expected.map(([key, state]) => [key, hex(fold.encode(state))])));
      await this.#checkTraining(definition, fold);
    }
    const audit = await this.platform.audit({ states: true });
    deepStrictEqual([audit.mismatched, audit.missing, audit.clean], [0, 0, true]);
    return audit.compared;
  }

  async #checkTraining(definition: (typeof VIEWS)[number], fold: ViewFold): Promise<void> {
    const keys = definition === byUser ? USERS : SHOPS.map((name) => name.toLowerCase());
    const span = this.clock.now() - START;
    const labels = Array.from({ length: 40 }, () => {
      const t = this.random.oneIn(3) ? this.random.pick(this.log).known : START + this.random.integer(0, span - 1);
      return { key: this.random.pick(keys), t: t as Micros };
    });
    const path = join(this.folder, "labels.csv");
    const column = definition === byUser ? "user" : "shop";
    await writeFile(path, [`${column},t`, ...labels.map(({ key, t }) => `${key},${formatMicros(t)}`)].join("\n"));
    const set = await this.platform.train({
      service: definition === byUser ? "model" : "shops",
      labels: path,
      boundary: "inclusive",
      allowAfterLog: true,
    });
    const read = createReadBuffer(fold.features.length);
    for (const [i, { key, t }] of labels.entries()) {
      const known = this.log.filter((one) => one.known <= t);
      fold.read(expectedStates(fold, definition.name, known).get(key) ?? null, t, read);
      const values = set.columns.map((one) => one.value(i));
      deepStrictEqual([i, key, formatMicros(t), values], [i, key, formatMicros(t), [...read.values]]);
    }
  }

  copy(part: string): string {
    return join(this.folder, "..", `${part}-copy`);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("events that are corrected", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-corrections-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([1, 2].map((n) => Number(process.env["ONEFOLD_SEED"] ?? 7000 + n)))(
    "leave the fold of those that count, at any time what was known then, and a clean audit (seed %d)",
    { timeout: 300_000 },
    async (seed) => {
      const world = new World(join(folder, `random-${seed}`), seed);
      await world.open();
      try {
        for (let round = 0; round < 2; round++) {
          for (let step = 0; step < 12; step++) {
            if (world.random.oneIn(3)) await world.correct();
            else await world.push();
            if (world.random.oneIn(3)) await world.serve();
          }
          if (round === 0) await world.check();
          await world.platform.close();
          await world.open();
        }
        expect(await world.check()).toBeGreaterThan(100);
        // Minutes in which corrections changed an entity have their rows, and no others have.
        expect(await world.platform.materialize({ name: "by_user" })).toMatchObject({ rows: 0 });
        expect(world.log.filter(({ row }) => row === null).length).toBeGreaterThan(4);
      } finally {
        await world.platform.close();
      }
    },
  );

  it.each(["states", "states and archive", "states and older events of the archive"])(
    "are folded again where a crash lost the %s behind the append",
    { timeout: 300_000 },
    async (lost) => {
      const world = new World(join(folder, lost.replaceAll(" ", "-")), 31);
      await world.open();
      for (let step = 0; step < 8; step++) await world.push();
      await world.correct();
      await world.platform.settle();
      await world.platform.close();
      // The archive holds all before a correction when it is appended; a copy of it that is put back may not.
      const isCorrectionFirst = lost === "states and archive";
      const parts = lost === "states" ? ["online"] : ["online", "offline"];
      for (const part of parts) await cp(join(world.folder, part), world.copy(part), { recursive: true });
      await world.open();
      if (!isCorrectionFirst) for (let step = 0; step < 3; step++) await world.push();
      await world.correct();
      if (!isCorrectionFirst) {
        await world.push();
        await world.correct();
      }
      await world.serve();
      await world.platform.close();
      for (const part of parts) {
        await rm(join(world.folder, part), { recursive: true });
        await cp(world.copy(part), join(world.folder, part), { recursive: true });
      }
      await world.open();
      try {
        await world.check();
      } finally {
        await world.platform.close();
      }
    },
  );

  it("are refused where they cannot be made, and leave everything as it was", async () => {
    const world = new World(join(folder, "refused"), 5);
    await world.open();
    try {
      await world.push();
      const { id } = world.log[0]!;
      const correct = (correction: Correction) => world.platform.correct("payments", [correction]);
      const good = { id, user: "ann", shop: "s1", amount: 1, at: formatMicros(world.clock.now()) };
      for (const [event, code] of [
        [{ ...good, id: "another" }, "REQUEST_INVALID"],
        [{ ...good, amount: "much" }, "TYPE_MISMATCH"],
        [{ ...good, at: "2027-01-01T00:00:00Z" }, "EVENT_TOO_FAR_AHEAD"],
        ["text", "REQUEST_INVALID"],
      ] as const) {
        expect(await correct({ op: "replace", id, event })).toMatchObject({ corrected: 0, outcomes: [{ code }] });
      }
      await world.check();
      await expect(world.platform.correct("nothing", [])).rejects.toMatchObject({ code: "SOURCE_UNKNOWN" });
      const many = Array.from({ length: 1001 }, (): Correction => ({ op: "retract", id }));
      await expect(world.platform.correct("payments", many)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
      expect(await world.platform.correct("payments", [])).toEqual({ corrected: 0, rejected: 0, outcomes: [] });
      const http = await world.platform.serve({ port: 0 });
      const wire = async (body: unknown): Promise<unknown> => {
        const url = `${http.url}/events/payments/corrections`;
        const headers = { "content-type": "application/json" };
        const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
        return { status: response.status, body: await response.json() };
      };
      for (const corrections of [[], [{ op: "replace", id }], [{ op: "drop", id }]])
        expect(await wire({ corrections })).toMatchObject({
          status: 400,
          body: { error: { code: "REQUEST_INVALID" } },
        });
      expect(
        await wire({
          corrections: [
            { op: "replace", id, event: good },
            { op: "retract", id: "nobody" },
          ],
        }),
      ).toMatchObject({
        status: 200,
        body: {
          source: "payments",
          corrected: 1,
          rejected: 1,
          outcomes: [
            { status: "replaced", id, events: 1 },
            { status: "rejected", code: "EVENT_UNKNOWN" },
          ],
        },
      });
      await http.close();
      // An id that was taken back stays known: the event, sent again, is a duplicate and not back.
      const user = "ann";
      const rolesAt = async (asOf: Micros) =>
        (await world.platform.explain({ view: "by_user", feature: "n", key: [user], asOf })).roles;
      const counted = (await rolesAt(world.clock.now())).counted!;
      const before = world.clock.now();
      world.clock.advanceTo((before + MINUTE) as Micros);
      expect(await correct({ op: "retract", id })).toMatchObject({ corrected: 1 });
      expect((await rolesAt(before)).counted).toBe(counted);
      expect(await rolesAt(world.clock.now())).toMatchObject({ retracted: expect.any(Number) as number });
      expect((await rolesAt(world.clock.now())).counted ?? 0).toBe(counted - 1);
      expect(await world.platform.push("payments", [good])).toMatchObject({ duplicates: 1, accepted: 0 });
      expect(await correct({ op: "retract", id })).toMatchObject({ outcomes: [{ code: "EVENT_UNKNOWN" }] });
    } finally {
      await world.platform.close();
    }
  });
});
