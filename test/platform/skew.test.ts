/** What was served held against the log, again and again; and a user's own serving log held against us. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, last, mean, onDemand, service, stream, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { decodeServedVector, encodeServedVector, type ServedVector } from "../../src/schema/served-vector.ts";

const START = parseMicros("2026-03-01T10:00:00Z");
const SECOND = 1_000_000;

const user = entity("user", { user: t.string() });
const payments = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.float64(), shop: t.string() },
  eventTime: "at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: { n: count(), mean: mean("amount").over("1h"), shop: last("shop") },
});
const doubled = onDemand("doubled", {
  inputs: [spending.pick("mean")],
  outputs: { twice: t.float64() },
  compute: ({ mean: value }) => ({ twice: value === null ? null : value * 2 }),
});
const model = service("model", { features: [spending, doubled] });
const definitions = [user, payments, spending, doubled, model];

let folder: string;
let platform: Platform;
let clock: ReplayClock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-skew-"));
  clock = new ReplayClock(START);
  await open();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(more: object = {}): Promise<void> {
  const dataDir = join(folder, "data");
  platform = await openPlatform({
    dataDir,
    definitions,
    clock,
    servingLogSampleRate: 1,
    checkMillis: 0,
    auditMillis: 0,
    ...more,
  });
  await platform.apply(definitions);
}

function later(seconds: number): void {
  clock.advanceTo((clock.now() + seconds * SECOND) as Micros);
}

let paid = 0;
/** Pushes and serves, each user's values other ones. */
async function live(users: readonly string[], rounds = 3): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    later(7);
    const at = { micros: clock.now() };
    await platform.push(
      "payments",
      users.map((name) => ({ user: name, at, amount: (paid += 1.37), shop: `shop ${round}` })),
    );
    later(3);
    for (const name of users) await platform.vector("model", { user: name });
  }
}

/** Changes lines of the serving log on disk. */
async function tamper(change: (vector: ServedVector, line: number) => ServedVector): Promise<void> {
  await platform.settle();
  const log = join(folder, "data/serving-log");
  for (const name of await readdir(log)) {
    const lines = (await readFile(join(log, name), "utf8")).split("\n").filter((line) => line !== "");
    const changed = lines.map((line, i) => encodeServedVector(change(decodeServedVector(line), i)));
    await writeFile(join(log, name), `${changed.join("\n")}\n`);
  }
}

function withValue(
  vector: ServedVector,
  feature: string,
  value: ServedVector["values"][number],
  status?: number,
): ServedVector {
  const at = vector.features.indexOf(`spending@1:${feature}`);
  return {
    ...vector,
    values: vector.values.with(at, value),
    statuses: status === undefined ? vector.statuses : vector.statuses.with(at, status),
  };
}

const PRESENT = 0;
const NULL_VALUE = 1;

describe("a round of the audit", () => {
  it("reads what was served since the last one, and finds nothing where nothing is wrong, restarts or not", async () => {
    await live(["ada", "bob"]);
    const first = await platform.checks.skew.round();
    // Three features of a view and what a service has of them: three and one more.
    expect(first).toMatchObject({
      vectors: 6,
      compared: 6 * 3 + 6 * 4,
      mismatched: 0,
      missing: 0,
      extra: 0,
      unknown: 0,
    });
    expect(first.features.map(({ of, feature }) => `${of} ${feature}`)).toContain("model twice");
    expect(await platform.checks.skew.round()).toMatchObject({ vectors: 0, compared: 0 });
    await platform.close();
    await open();
    await live(["ada"], 2);
    expect(await platform.checks.skew.round()).toMatchObject({ vectors: 2, mismatched: 0 });
    expect((await platform.checks.skew.rounds()).map(({ vectors }) => vectors)).toEqual([2, 0, 6]);
  });

  it("says by feature what differs, what is missing, what is too much, and by how much", async () => {
    await live(["ada", "bob"], 5);
    await tamper((vector, line) => {
      if (line === 2) return withValue(vector, "mean", (vector.values[1] as number) + 0.5);
      if (line === 3) return withValue(vector, "mean", (vector.values[1] as number) - 2);
      if (line === 4) return withValue(vector, "mean", null, NULL_VALUE);
      if (line === 5) return withValue(vector, "n", (vector.values[0] as number) + Number.EPSILON * 4);
      return line === 6 ? withValue(vector, "shop", "no such") : vector;
    });
    const round = await platform.checks.skew.round();
    // What the service made of a changed line's features is not what they make: that counts for itself.
    expect(round.vectors).toBe(10);
    expect(round.features[0]!.mismatched).toBeGreaterThan(0);
    const of = (feature: string) => round.features.find((one) => one.of === "spending@1" && one.feature === feature)!;
    expect(of("mean")).toMatchObject({
      compared: 10,
      mismatched: 2,
      missing: 1,
      extra: 0,
      differences: { count: 2, min: -2, max: 0.5, mean: -0.75 },
    });
    expect(of("mean").examples).toHaveLength(3);
    expect(of("mean").examples[0]).toMatchObject({ entity: { user: "ada" } });
    expect(of("shop")).toMatchObject({ mismatched: 1, missing: 0, differences: null });
    expect(of("n")).toMatchObject({ mismatched: 1, missing: 0, differences: { count: 1 } });

    const signals = await platform.checks.skew.signals();
    const ofView = signals.find(({ subject }) => subject.view === "spending@1" && subject.feature === "mean");
    expect(ofView).toMatchObject({
      kind: "skew",
      value: 0.3,
      isBeyond: true,
      samples: 10,
    });
    expect(signals.map(({ subject }) => subject.service)).toContain("model");
    const server = await platform.serve({ port: 0 });
    const page = await (await fetch(`${server.url}/metrics`)).text();
    expect(page).toContain('onefold_skew_compared_total{of="spending@1",feature="mean"} 10');
    expect(page).toContain('onefold_skew_values_total{of="spending@1",feature="mean",outcome="missing"} 1');
    const answer = (await (await fetch(`${server.url}/skew`)).json()) as { rounds: unknown[] };
    expect(answer.rounds).toEqual([round]);
    await server.close();
  });

  it("calls a value served of an entity that has none too much, and a line that cannot be read damaged", async () => {
    await live(["ada"], 1);
    await platform.vector("model", { user: "nobody" });
    await tamper((vector) =>
      vector.keys["user"] === "nobody" ? withValue(vector, "shop", "a shop", PRESENT) : vector,
    );
    const [segment] = await readdir(join(folder, "data/serving-log"));
    await writeFile(join(folder, "data/serving-log", segment!), "no line of ours\n", { flag: "a" });
    const round = await platform.checks.skew.round();
    expect(round).toMatchObject({ vectors: 2, damaged: 1 });
    const shop = round.features.find(({ of, feature }) => of === "spending@1" && feature === "shop");
    expect(shop).toMatchObject({ compared: 2, extra: 1, missing: 0, mismatched: 0 });
  });

  it("is of a share of the entities, the same ones in every round", async () => {
    await platform.close();
    await open({ auditShare: 0.5 });
    const users = Array.from({ length: 40 }, (_, i) => `user ${i}`);
    await live(users, 1);
    const { vectors } = await platform.checks.skew.round();
    expect(vectors).toBeGreaterThan(5);
    expect(vectors).toBeLessThan(35);
    await live(users, 2);
    expect((await platform.checks.skew.round()).vectors).toBe(2 * vectors);
  });

  it("comes again and again while something is served", async () => {
    await platform.close();
    await open({ auditMillis: 50 });
    const server = await platform.serve({ port: 0 });
    await live(["ada"], 2);
    const audited = async (): Promise<number> =>
      (await platform.checks.skew.rounds()).reduce((sum, { vectors }) => sum + vectors, 0);
    await expect.poll(audited, { timeout: 60_000 }).toBe(2);
    await server.close();
  });
});

describe("a user's own serving log", () => {
  /** What the service answered, as somebody else may have kept it. */
  async function logged(path: string, columns = "*"): Promise<void> {
    const rows: string[] = [];
    for (let i = 0; i < 6; i++) {
      const name = i % 2 === 0 ? "ada" : "bob";
      await live([name], 1);
      later(1);
      const { features, metadata } = await platform.vector("model", { user: name }, { token: true });
      const { n, mean: value, shop, twice } = features;
      rows.push(
        `('${name}', make_timestamptz(${clock.now()}), ${n}::BIGINT, ${value}::DOUBLE, '${String(shop)}', ${twice}::DOUBLE, '${String(metadata["token"])}')`,
      );
    }
    later(60);
    const engine = await openDuckDb({ threads: 1 });
    await engine.run(
      `COPY (SELECT ${columns} FROM (VALUES ${rows.join(", ")}) v("user", asked_at, n, mean, shop, twice, tok)) TO ${sqlText(path)} (FORMAT parquet)`,
    );
    await engine.close();
  }
  const asked = { service: "model", timeColumn: "asked_at" } as const;

  it("is what we would have returned, at its times and by its tokens", async () => {
    const path = join(folder, "served.parquet");
    await logged(path);
    const byTime = await platform.checks.skew.servedFile({ ...asked, path });
    expect(byTime).toMatchObject({
      rows: 6,
      compared: 24,
      mismatched: 0,
      missing: 0,
      extra: 0,
      clean: true,
      notInFile: [],
    });
    const byToken = await platform.checks.skew.servedFile({ service: "model", path, tokenColumn: "tok" });
    expect(byToken).toMatchObject({ compared: 24, clean: true });
  });

  it("is told by feature where it is not, with rows, within a tolerance where one is given", async () => {
    const path = join(folder, "served.parquet");
    await logged(
      path,
      `"user", asked_at, CASE WHEN row_number() OVER () = 2 THEN NULL ELSE n END AS count_of, (mean * (1 + 1e-9))::DOUBLE AS mean`,
    );
    const map = { featureColumns: { n: "count_of" } };
    const strict = await platform.checks.skew.servedFile({ ...asked, ...map, path });
    expect(strict).toMatchObject({ compared: 12, missing: 1, extra: 0, clean: false, notInFile: ["shop", "twice"] });
    expect(strict.mismatched).toBe(6);
    expect(strict.skew.find(({ feature }) => feature === "n")).toMatchObject({
      missing: 1,
      examples: [{ entity: { user: "bob", row: 2 }, served: null }],
    });
    const loose = await platform.checks.skew.servedFile({ ...asked, ...map, path, tolerance: 1e-6 });
    expect(loose).toMatchObject({ mismatched: 0, missing: 1 });
  });

  it("is refused where there is nothing to compare, and rows of the future are left for later", async () => {
    const path = join(folder, "served.parquet");
    await logged(path, `"user", asked_at, 1 AS other`);
    await expect(platform.checks.skew.servedFile({ ...asked, path })).rejects.toMatchObject({
      code: "SPINE_INVALID",
      candidates: ["user", "asked_at", "other"],
    });
    await expect(platform.checks.skew.servedFile({ ...asked, path: "served.csv" })).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
    const engine = await openDuckDb({ threads: 1 });
    const future = join(folder, "future.parquet");
    await engine.run(
      `COPY (SELECT 'ada' AS "user", make_timestamptz(${clock.now() + 3600 * SECOND}) AS asked_at, 1::BIGINT AS n) TO ${sqlText(future)} (FORMAT parquet)`,
    );
    await engine.close();
    const found = await platform.checks.skew.servedFile({ ...asked, path: future });
    expect(found).toMatchObject({ rows: 1, pendingRows: 1, compared: 0 });
  });
});
