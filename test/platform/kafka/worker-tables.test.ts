/**
 * Training and audit from the tables of workers: each view from those of its own key, up to where each partition is
 * archived. The whole way, through Kafka and beside an embedded platform, is test/examples/kafka-demo.test.ts.
 */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import {
  col,
  count,
  entity,
  last,
  openPlatform,
  type Platform,
  service,
  standardize,
  stream,
  sum,
  t,
  view,
} from "../../../src/index.ts";
import type { ArchiveMemory } from "../../../src/ingest/kafka/archive-loop.ts";
import { partitionOfKey } from "../../../src/ingest/kafka/key-partition.ts";
import { internalTopic } from "../../../src/ingest/kafka/routes.ts";
import { idsOfOthers } from "../../../src/platform/kafka/forgotten-rows.ts";
import { WorkerTables } from "../../../src/platform/kafka/worker-tables.ts";
import { isArchived } from "../../../src/training/log-end.ts";
import type { TrainingView } from "../../../src/training/ports.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openSampleKeeper } from "../../../src/platform.ts";
import { encodeVectorToken } from "../../../src/schema/vector-token.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { openPartitionedEvents, type PartitionedEvent } from "../../../src/offline-store/partitioned-events.ts";
import { fileRelation, rewriteFiles } from "../../../src/offline-store/table-rewrite.ts";

const START = parseMicros("2026-01-05T10:00:00Z");
const MINUTE = 60_000_000;
const PARTITIONS = 4;
const EVENTS = 60;

const user = entity("user", { user: t.string() });
const shop = entity("shop", { shop: t.string() });
const size = entity("size", { is_large: t.bool() });
const sales = stream("sales", {
  columns: { user: t.string(), shop: t.string(), amount: t.int64(), at: t.timestamp() },
  eventTime: "at",
  kafka: "sales",
  derive: { is_large: col("amount").gt(50) },
});
const byUser = view("by_user", {
  entity: user,
  source: sales,
  features: { spent: sum("amount"), spent_10m: sum("amount").over("10m"), latest: last("amount") },
});
const byShop = view("by_shop", { entity: shop, source: sales, features: { sales: count(), newest: last("amount") } });
const bySize = view("by_size", { entity: size, source: sales, features: { sales: count(), newest: last("amount") } });
const both = service("both", { features: [byUser, byShop] });
const scaled = service("scaled", { features: [byUser], transform: { latest: standardize("latest") } });
const definitions = [user, shop, size, sales, byUser, byShop, bySize, both, scaled];

/** Of each way in which the views are keyed, the key of a row. */
const KEYS = {
  user: (row: (typeof rows)[number]) => row.user,
  shop: (row: (typeof rows)[number]) => row.shop,
  is_large: (row: (typeof rows)[number]) => String(row.amount > 50),
} as const;

const rows = Array.from({ length: EVENTS }, (_, n) => ({
  user: `u${n % 7}`,
  shop: `s${(n * n) % 5}`,
  amount: (n * 37) % 101,
  at: START + n * MINUTE,
}));

let folder: string;
let platform: Platform;
/** The same events, pushed in the same order. */
let embedded: Platform;

/** Writes the table of one key, as workers do; of each partition at most `perPartition` events. */
async function writeTable(archive: string, key: keyof typeof KEYS, perPartition: number): Promise<void> {
  const engine = await openDuckDb({ threads: 1 });
  try {
    const topic = internalTopic("onefold", "sales", [key]);
    const store = openOfflineStore(archive, engine, { clock: systemClock });
    const table = await openPartitionedEvents<ArchiveMemory>(store, engine, sales, topic);
    const events: PartitionedEvent[] = [];
    const ends = new Map<number, number>();
    let knownTime = 0;
    for (const row of rows) {
      const { user: u, shop: s, amount, at } = row;
      const partition = partitionOfKey(Buffer.from(KEYS[key](row)), PARTITIONS);
      const offset = ends.get(partition) ?? 0;
      if (offset >= perPartition) continue;
      ends.set(partition, offset + 1);
      knownTime = at;
      events.push({ partition, offset, eventTime: at, knownTime: at, id: null, row: [u, s, amount, at] });
    }
    const memory: ArchiveMemory = { topicId: "id", knownTime, origins: {}, partitionCount: PARTITIONS };
    const changes = [...ends].map(([partition, offset]) => ({ partition, offset, memory, after: null }));
    await table.append(events, changes);
  } finally {
    await engine.close();
  }
}

function labelsFile(): string {
  const file = join(folder, "labels.csv");
  const lines = rows.map(({ user: u, shop: s, at }) => `${u},${s},${formatMicros((at - 1) as Micros)}`);
  writeFileSync(file, ["user,shop,t", ...lines].join("\n"));
  return file;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-worker-tables-"));
  const clock = { time: START as number, now: () => clock.time as Micros };
  embedded = await openPlatform({ dataDir: join(folder, "embedded"), clock, definitions });
  await embedded.apply(definitions);
  for (const { at, ...row } of rows) {
    clock.time = at;
    await embedded.push("sales", [{ ...row, at: formatMicros(at as Micros) }]);
  }
  await embedded.settle();
  await writeTable(join(folder, "archive"), "user", EVENTS);
  await writeTable(join(folder, "archive"), "shop", EVENTS);
  await writeTable(join(folder, "archive"), "is_large", EVENTS);
  const workerTables = { folder: join(folder, "archive") };
  platform = await openPlatform({ dataDir: join(folder, "embedded"), mode: "read", definitions, workerTables });
});
afterAll(async () => {
  await platform.close();
  await embedded.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a platform that reads workers' tables", () => {
  it("builds the training set that an embedded one builds from the same events, byte for byte", async () => {
    const request = { service: "both", labels: labelsFile(), timeColumn: "t", boundary: "exclusive" } as const;
    const ours = await platform.train({ ...request, out: join(folder, "ours.csv") });
    const theirs = await embedded.train({ ...request, out: join(folder, "theirs.csv") });
    expect(ours.manifest.output!.sha256).toBe(theirs.manifest.output!.sha256);
    expect(ours.manifest.views.map(({ eventsFolded }) => eventsFolded)).not.toContain(0);
  });

  it("explains a value by the events of its own key's table", async () => {
    const asOf = (START + 90 * MINUTE) as Micros;
    const of = rows.filter((row) => row.user === "u3");
    const explanation = await platform.explain({ view: "by_user", feature: "spent", key: ["u3"], asOf });
    expect(explanation.value).toBe(of.reduce((total, { amount }) => total + amount, 0));
  });

  it("previews the same entities, newest first, with the same values, of a derived key too", async () => {
    const keeper = await openSampleKeeper();
    try {
      for (const name of ["by_user", "by_shop", "by_size"]) {
        for (const entityCount of [2, 20]) {
          const theirs = await embedded.preview({ view: name, entityCount });
          expect(theirs.rows.length).toBeGreaterThan(1);
          expect(await platform.preview({ view: name, entityCount })).toEqual(theirs);
          expect(await platform.preview({ view: name, entityCount, keeper })).toEqual(theirs);
          expect(await platform.preview({ view: name, entityCount, keeper })).toEqual(theirs);
        }
      }
    } finally {
      await keeper.close();
    }
  });

  it("explains a value of a derived key, by events of several partitions' offsets", async () => {
    const asOf = (START + 90 * MINUTE) as Micros;
    const of = { view: "by_size", feature: "sales", asOf } as const;
    for (const key of [[true], [false]]) {
      const theirs = await embedded.explain({ ...of, key });
      const ours = await platform.explain({ ...of, key });
      expect(ours.value).toBe(theirs.value);
      expect(ours.roles).toEqual(theirs.roles);
    }
  });

  it("fits to what an embedded one fits to", async () => {
    const request = { service: "scaled", labels: labelsFile(), timeColumn: "t", boundary: "exclusive" } as const;
    const split = { share: 0.7 };
    const theirs = await embedded.fit({ ...request, split });
    const ours = await platform.fit({ ...request, split });
    expect(theirs.parameters[0]!.values).toBeGreaterThan(10);
    expect(ours.parameters).toEqual(theirs.parameters);
    expect(ours.version).toBe(theirs.version + 1);
  });

  it("takes for archived what its entity's partition has, and no more", async () => {
    const partial = join(folder, "partial");
    await writeTable(partial, "user", 9);
    await writeTable(partial, "shop", 9);
    await writeTable(partial, "is_large", 9);
    const engine = await openDuckDb({ threads: 1 });
    try {
      const ports = { registry: platform.registry, engine, clock: systemClock };
      const archive = new WorkerTables({ folder: partial }, ports).archive(sales);
      const files = await archive.files();
      const counts = new Map<number, number>();
      for (const { user: u } of rows) {
        const partition = partitionOfKey(Buffer.from(u), PARTITIONS);
        counts.set(partition, (counts.get(partition) ?? 0) + 1);
      }
      const ends = new Set<number>();
      for (let n = 0; n < 7; n++) {
        const end = Math.min(9, counts.get(partitionOfKey(Buffer.from(`u${n}`), PARTITIONS))!);
        ends.add(end);
        const found = platform.registry.views().find((each) => each.definition.name === "by_user");
        const of = { definition: found!.definition } as TrainingView;
        expect(isArchived(end - 1, files, of, `u${n}`)).toBe(true);
        expect(isArchived(end, files, of, `u${n}`)).toBe(false);
      }
      expect(ends.size).toBeGreaterThan(1);
      await expect(archive.files(1)).rejects.toMatchObject({ code: "EPOCH_UNKNOWN" });
    } finally {
      await engine.close();
    }
  });

  it("is refused one that another engine has rewritten, as who archives or forgets is", async () => {
    const rewritten = join(folder, "rewritten");
    for (const key of ["user", "shop", "is_large"] as const) await writeTable(rewritten, key, 9);
    const engine = await openDuckDb({ threads: 1 });
    try {
      const store = openOfflineStore(rewritten, engine, { clock: systemClock });
      const topic = internalTopic("onefold", "sales", ["user"]);
      const table = (await store.find(`events/${topic}`))!;
      // As an optimize of another engine: the same rows, and no tags.
      await rewriteFiles(table, engine, {
        operation: "OPTIMIZE",
        dataChange: false,
        plan: async ({ files }) =>
          files.map((file) => ({ files: [file], select: `SELECT * FROM ${fileRelation(file)}`, tags: {} })),
      });
      const refused = { code: "TABLE_INVALID", message: "an event table has a file that another engine has written" };
      const archive = await openPartitionedEvents<ArchiveMemory>(store, engine, sales, topic);
      await expect(archive.files()).rejects.toMatchObject(refused);
      await expect(archive.places()).rejects.toMatchObject(refused);
      await expect(idsOfOthers(engine, table, ["id"], new Map())).rejects.toMatchObject(refused);
      const ports = { registry: platform.registry, engine, clock: systemClock };
      await expect(new WorkerTables({ folder: rewritten }, ports).archive(sales).files()).rejects.toMatchObject(
        refused,
      );
    } finally {
      await engine.close();
    }
  });

  it("builds rows as served, each up to the offset in its entity's partition, and flags those that wait for more", async () => {
    const shown = [3, 17, 17, 41].map((n) => rows[n]!);
    const tokens = shown.map(({ user: u, shop: s, at }, i) => {
      // Every other row was served when its last event was not folded yet.
      const readOf = (name: string, key: "user" | "shop", text: string) => {
        const partition = partitionOfKey(Buffer.from(text), PARTITIONS);
        const before = rows.filter(
          (row) => partitionOfKey(Buffer.from(row[key]), PARTITIONS) === partition && row.at <= at,
        );
        return { view: name, epoch: 0, lastOffset: before.length - 1 - (i % 2) };
      };
      return encodeVectorToken({
        asOf: at as Micros,
        reads: [readOf("by_user@1", "user", u), readOf("by_shop@1", "shop", s)],
      });
    });
    const served = join(folder, "served.csv");
    writeFileSync(
      served,
      ["user,shop,token", ...shown.map((row, i) => `${row.user},${row.shop},${tokens[i]}`)].join("\n"),
    );
    const asServed = { service: "both", labels: served, tokenColumn: "token", knowledge: "as-served" } as const;
    const set = await platform.train(asServed);
    const latest = set.columns.find(({ name }) => name === "latest")!;
    const expected = shown.map((row, i) => {
      const upTo = rows.filter((other) => other.user === row.user && other.at <= row.at - (i % 2));
      return upTo.at(-1)?.amount ?? null;
    });
    expect(shown.map((_, i) => latest.value(i))).toEqual(expected);
    const behind = await openPlatform({
      dataDir: join(folder, "embedded"),
      mode: "read",
      definitions,
      workerTables: { folder: join(folder, "partial") },
    });
    await expect(behind.train(asServed)).rejects.toMatchObject({ code: "SPINE_AFTER_LOG" });
    const flagged = await behind.train({ ...asServed, allowAfterLog: true });
    expect(flagged.rowCount).toBe(shown.length);
    await behind.close();
  });

  it("refuses a folder without the tables", async () => {
    const nowhere = await openPlatform({
      dataDir: join(folder, "embedded"),
      mode: "read",
      definitions,
      workerTables: { folder: join(folder, "archive"), prefix: "other" },
    });
    const request = { service: "both", labels: labelsFile(), timeColumn: "t", boundary: "exclusive" } as const;
    await expect(nowhere.train(request)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await nowhere.close();
  });
});
