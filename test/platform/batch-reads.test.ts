/** Files of whole views and of many vectors, beside what serving answers at the same moment. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  col,
  count,
  entity,
  isOnefoldError,
  last,
  lastK,
  micros,
  onDemand,
  openPlatform,
  parseMicros,
  type Platform,
  ReplayClock,
  service,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../src/offline-store/engine.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { codeOf } from "../code-of.ts";

const HOUR = 3_600_000_000;
const START = parseMicros("2001-03-30T00:00:00Z");

const user = entity("user", { user: t.string(), shop: t.int64() });
const payments = stream("payments", {
  columns: { user: t.string(), shop: t.int64(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: {
    paid_6h: sum("amount").over("6h"),
    paid: sum("amount"),
    large: count().where(col("amount").gt(50)),
    last_at: last("at"),
    amounts: lastK("amount", 3),
  },
});
const share = onDemand("share", {
  inputs: [spending],
  request: { offered: t.float64() },
  outputs: { of_paid: t.float64() },
  compute: ({ paid, offered }) => ({ of_paid: paid === null ? null : offered / (paid + offered) }),
});
const offers = service("offers", { features: [spending, share] });
const definitions = [user, payments, spending, share, offers];
const NAMES = ["ada", "bob|", 'cy, "the" 1st', "dan"];
const FEATURES = ["paid_6h", "paid", "large", "last_at", "amounts"];

let folder: string;
let engine: QueryEngine;
let platform: Platform;
const clock = new ReplayClock(START);
const random = new SeededRandom(20_260_311);
/** Taken while time went on, to be compared with what is exported of that time later. */
const early = { at: START, file: "" };

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-"));
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock });
  await platform.apply(definitions);
  // Three days over the end of a month, late events among them.
  for (let hour = 0; hour < 72; hour += 3) {
    clock.advanceTo(micros(START + hour * HOUR));
    const rows = Array.from({ length: 8 }, () => ({
      user: NAMES[random.integer(0, 3)]!,
      shop: random.integer(0, 3),
      amount: random.integer(-20, 100) / 4,
      at: { micros: clock.now() - random.integer(0, 30) * (HOUR / 10) },
    }));
    await platform.push("payments", rows);
    if (hour === 36) {
      early.file = join(folder, "early.parquet");
      early.at = (await platform.batch.exportView({ view: "spending", out: early.file })).asOf;
    }
  }
  await platform.settle();
});
afterAll(async () => {
  await platform.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const read = (file: string): Promise<Record<string, unknown>[]> =>
  engine.rows(`SELECT * FROM read_parquet(${sqlText(file)})`) as Promise<Record<string, unknown>[]>;

describe("a view exported", () => {
  it("has every entity once, with the values that serving gives at that moment", async () => {
    const out = join(folder, "spending.parquet");
    const progress: number[] = [];
    const exported = await platform.batch.exportView({
      view: "spending",
      out,
      onProgress: (done, total) => progress.push(done / total),
    });
    const rows = await read(out);
    expect(exported).toEqual({ asOf: clock.now(), rowCount: rows.length, eventsFolded: 24 * 8, eventsPoisoned: 0 });
    expect(rows.length).toBeGreaterThan(10);
    expect(progress.at(-1)).toBe(1);
    expect(Object.keys(rows[0]!)).toEqual(["user", "shop", ...FEATURES]);
    expect(new Set(rows.map((row) => JSON.stringify([row["user"], row["shop"]]))).size).toBe(rows.length);
    for (const { user: name, shop, ...values } of rows) {
      const { features } = await platform.features("user", { user: name, shop }, FEATURES);
      const served = {
        ...features,
        last_at: features["last_at"] === null ? null : parseMicros(features["last_at"] as string),
      };
      expect(values).toEqual(served);
    }
  });

  it("as of an earlier time has what was exported then, late events not yet known", async () => {
    const out = join(folder, "again.parquet");
    const { rowCount } = await platform.batch.exportView({ view: "spending", out, asOf: early.at });
    expect(await read(out)).toEqual(await read(early.file));
    expect(rowCount).toBeGreaterThan(0);
    const none = await platform.batch.exportView({ view: "spending", out, asOf: micros(START - 1) });
    expect(none).toMatchObject({ rowCount: 0, eventsFolded: 0 });
    expect(await read(out)).toEqual([]);
  });

  it("has its states audited by its owner alone, and whoever else asks is told so at the start", async () => {
    await platform.vector("offers", { user: "ada", shop: 1 }, { request: { offered: 1 }, token: true });
    const reader = await openPlatform({ dataDir: join(folder, "data"), mode: "read", definitions, clock });
    try {
      const phases: string[] = [];
      const audit = reader.audit({ states: true, onProgress: ({ phase }) => phases.push(phase) });
      await expect(audit).rejects.toMatchObject({
        code: "STORAGE_LOCKED",
        hint: expect.stringContaining("compare served vectors alone"),
      });
      expect(phases).toEqual([]);
    } finally {
      await reader.close();
    }
  });

  it("is read beside its owner, as a CSV file too, and leaves nothing behind when it is cancelled", async () => {
    const reader = await openPlatform({ dataDir: join(folder, "data"), mode: "read", definitions, clock });
    try {
      const out = join(folder, "spending.csv");
      await reader.batch.exportView({ view: "spending", out });
      const [header, ...lines] = (await readFile(out, "utf8")).trim().split("\n");
      expect(header).toBe(["user", "shop", ...FEATURES].join(","));
      expect(lines).toHaveLength((await read(join(folder, "spending.parquet"))).length);
      expect(lines.some((line) => /"\[-?\d[^\]]*\]"$/.test(line))).toBe(true);
      const cancelled = reader.batch.exportView({
        view: "spending",
        out: join(folder, "cut.csv"),
        signal: AbortSignal.abort(),
      });
      expect(await codeOf(cancelled)).toBe("CANCELLED");
      expect((await readdir(folder)).filter((name) => name.startsWith("cut"))).toEqual([]);
      await expect(reader.batch.exportView({ view: "spending", out: "x.txt" })).rejects.toMatchObject({
        code: "REQUEST_INVALID",
        message: "the format of the file cannot be told from its ending",
      });
      expect(await codeOf(reader.batch.exportView({ view: "other", out }))).toBe("VIEW_UNKNOWN");
    } finally {
      await reader.close();
    }
  });
});

/** 2,500 rows: several requests. Entities again and again, some that nobody has seen. */
const WANTED = Array.from({ length: 2500 }, (_, i) => ({
  shop: i % 5,
  user: ["ada", "bob|", 'cy, "the" 1st', "nobody"][i % 4]!,
  offered: i / 8,
}));

describe("vectors of the entities in a file", () => {
  const inputs: Record<string, string> = {};

  beforeAll(async () => {
    inputs["ndjson"] = join(folder, "wanted.ndjson");
    await writeFile(inputs["ndjson"], WANTED.map((row) => `${JSON.stringify({ ...row, more: "x" })}\n`).join(""));
    for (const format of ["csv", "parquet"]) {
      inputs[format] = join(folder, `wanted.${format}`);
      await engine.run(
        `COPY (SELECT * FROM read_json(${sqlText(inputs["ndjson"])})) TO ${sqlText(inputs[format])} (FORMAT ${format})`,
      );
    }
  });

  it.each(["ndjson", "csv", "parquet"])("come in its order, one a row, from %s", async (format) => {
    const out = join(folder, `vectors-of-${format}.parquet`);
    const done: number[] = [];
    const report = await platform.batch.vectors({
      service: "offers",
      entities: inputs[format]!,
      out,
      onProgress: (rows) => done.push(rows),
    });
    expect(report).toEqual({ rowCount: 2500, features: [...FEATURES, "of_paid"] });
    expect(done).toEqual([1000, 2000, 2500]);
    const rows = await read(out);
    expect(rows.map((row) => [row["shop"], row["user"]])).toEqual(WANTED.map((row) => [row.shop, row.user]));
    for (const i of [0, 1, 3, 999, 1000, 1001, 2499]) {
      const { user: name, shop, offered } = WANTED[i]!;
      const { features } = await platform.vector("offers", { user: name, shop }, { request: { offered } });
      const lastAt = features["last_at"] as string | null;
      const { user: _user, shop: _shop, ...values } = rows[i]!;
      expect(values).toEqual({ ...features, last_at: lastAt === null ? null : parseMicros(lastAt) });
    }
  });

  it("come as lines of JSON, as the server answers them", async () => {
    const out = join(folder, "vectors.ndjson");
    await platform.batch.vectors({ service: "offers", entities: inputs["csv"]!, out });
    const lines = (await readFile(out, "utf8")).trim().split("\n");
    expect(lines).toHaveLength(2500);
    const { user: name, shop, offered } = WANTED[1007]!;
    const { features } = await platform.vector("offers", { user: name, shop }, { request: { offered } });
    expect(JSON.parse(lines[1007]!)).toEqual({ entities: { user: name, shop }, features });
  });

  it("are refused as a whole where a row has no key, and the row is named", async () => {
    const file = join(folder, "broken.ndjson");
    const rows: unknown[] = [...WANTED.slice(0, 1204), { user: "ada", offered: 1 }];
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const out = join(folder, "never.parquet");
    const error: unknown = await platform.batch
      .vectors({ service: "offers", entities: file, out })
      .catch((thrown: unknown) => thrown);
    expect(isOnefoldError(error) && error).toMatchObject({
      code: "KEY_MISSING",
      where: `${file}: row 1205, user.shop`,
    });
    expect((await readdir(folder)).filter((name) => name.startsWith("never"))).toEqual([]);
  });
});
