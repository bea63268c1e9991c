/**
 * The events of a folded topic in a real Delta table, by archivers that crash before and after their commits, run two
 * at a time and come back late.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { ArchiveLoop, type ArchiveMemory, type RouteArchive } from "../../../src/ingest/kafka/archive-loop.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { KNOWN_TIME_HEADER, ORIGIN_HEADER } from "../../../src/ingest/kafka/record-stamp.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../../src/offline-store/engine.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { payments, randomFrom, SECOND, START, user, userView } from "../payments.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

let engine: QueryEngine;
let root: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-kafka-archive-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

const source: StreamDefinition = { ...payments, kafka: { topic: "payments" }, dedupeWithinMicros: 60 * SECOND };
const [plan] = planRoutes([user, source, userView], "onefold");
const { topic } = plan!.routes[0]!;
const PARTITIONS = 3;
const RUNS = 6;
const topics = new Map([[topic, { name: topic, id: "id", partitionCount: PARTITIONS }]]);
const clock = { now: () => START };

interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly known: number;
  readonly id: string;
  readonly user: string;
}

/** Files of rows in a table's folder, and those that some version of the table names. */
async function filesOf(folder: string): Promise<{ readonly onDisk: readonly string[]; readonly named: Set<string> }> {
  const all = await readdir(folder, { recursive: true });
  const named = new Set<string>();
  for (const name of all.filter((each) => /^_delta_log\/\d+\.json$/.test(each))) {
    for (const line of (await readFile(join(folder, name), "utf8")).trim().split("\n")) {
      const { add } = JSON.parse(line) as { readonly add?: { readonly path: string } };
      if (add !== undefined) named.add(add.path);
    }
  }
  return { onDisk: all.filter((each) => each.endsWith(".parquet") && !each.startsWith("_delta_log/")), named };
}

describe("the archive of a folded topic", () => {
  it(`holds every event once, as it was folded, whatever crashes, comes late or runs twice (${RUNS} runs)`, async () => {
    let conflicts = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomFrom(seed * 77);
      const simulated = new SimulatedTopics(new Map([[topic, PARTITIONS]]));
      const store = new MemoryOnlineStore();
      const folding = new FoldLoop({ connection: simulated, store, clock, plans: [plan!], topics, statesMax: 100 });
      folding.own([0, 1, 2].map((partition) => ({ topic, partition })));
      const folder = join(root, String(seed));

      /** An archiver as another process would have it: with tables of its own. */
      const newArchiver = async () => {
        const tables = openOfflineStore(folder, engine, { clock });
        const real = await openPartitionedEvents<ArchiveMemory>(tables, engine, source, topic);
        const fault = { kind: "none" as "none" | "before" | "after", held: null as (() => void)[] | null };
        const archive: RouteArchive = {
          places: () => real.places(),
          files: () => real.files(),
          append: async (events, changes) => {
            if (fault.kind === "before") throw new Error("crash");
            if (fault.held !== null) await new Promise<void>((resolve) => fault.held!.push(resolve));
            await real.append(events, changes);
            if (fault.kind === "after") throw new Error("crash");
          },
        };
        const archives = new Map([[topic, archive]]);
        const options = { connection: simulated, store, plans: [plan!], topics, archives };
        return { loop: new ArchiveLoop({ ...options, folded: () => folding.positions }), fault, real };
      };

      const expected: Row[] = [];
      const known = [-Infinity, -Infinity, -Infinity];
      const offsets = [0, 0, 0];
      const ids = new Map<string, number>();
      let now: number = START;
      const send = async (): Promise<void> => {
        now += Math.floor(random() * 5 * SECOND);
        const of = Math.floor(random() * 6);
        const partition = of % PARTITIONS;
        const offset = simulated.of(topic, partition).length;
        const id = `p${Math.floor(random() * 60)}`;
        const row = { id, user: `u${of}`, country: "DE", shop: 1, at: new Date(START / 1000).toISOString(), amount: 1 };
        // A copy has the origin of one before.
        const isCopy = offsets[partition]! > 0 && random() < 0.2;
        const origin = isCopy ? Math.floor(random() * offsets[partition]!) : offsets[partition]!++;
        const stamp = now + Math.floor((random() - 0.5) * SECOND);
        const headers = new Map([
          [KNOWN_TIME_HEADER, String(stamp)],
          [ORIGIN_HEADER, `source/${partition}/${origin}`],
        ]);
        const value = Buffer.from(JSON.stringify(row));
        await simulated.send([{ topic, partition, key: Buffer.from(row.user), value, headers }]);
        if (isCopy) return;
        const knownTime = Math.max(known[partition]!, stamp) as Micros;
        const before = ids.get(`${row.user} ${id}`);
        if (before !== undefined && before >= knownTime - source.dedupeWithinMicros) return;
        ids.set(`${row.user} ${id}`, knownTime);
        known[partition] = knownTime;
        expected.push({ partition, offset, known: knownTime, id, user: row.user });
      };

      const archivers = [await newArchiver(), await newArchiver()];
      let late: { readonly of: (typeof archivers)[number]; readonly pass: Promise<unknown> } | null = null;
      for (let step = 0; step < 14; step++) {
        for (let i = 0; i < 12; i++) await send();
        simulated.batchMax = 1 + Math.floor(random() * 30);
        while ((await folding.turn()) !== 0);
        const [one, other] = random() < 0.5 ? archivers : archivers.toReversed();
        if (late === null && random() < 0.4) {
          one!.fault.held = [];
          const pass = one!.loop.pass().catch((error: { code?: string }) => {
            if (error.code === "TABLE_CONFLICT") conflicts++;
          });
          while (one!.fault.held.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
          late = { of: one!, pass };
          await other!.loop.pass();
        } else if (late !== null) {
          for (const go of late.of.fault.held!) go();
          late.of.fault.held = null;
          await late.pass;
          late = null;
        } else {
          one!.fault.kind = (["none", "before", "after"] as const)[Math.floor(random() * 3)]!;
          await one!.loop.pass().catch(() => undefined);
          if (one!.fault.kind !== "none") archivers[archivers.indexOf(one!)] = await newArchiver();
        }
      }
      if (late !== null) for (const go of late.of.fault.held!) go();
      await late?.pass;
      const last = await newArchiver();
      await last.loop.pass();
      const files = (await last.real.files()).map(({ path }) => sqlText(path)).join(", ");
      const rows = await engine.rows(
        `SELECT _partition::DOUBLE AS partition, _offset::DOUBLE AS "offset", epoch_us(_known_time)::DOUBLE AS known, _id AS id, "user"
         FROM read_parquet([${files}]) ORDER BY 1, 2`,
      );
      expected.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
      expect(rows, `seed ${seed * 77}`).toEqual(expected);
      // Of one that came too late no file is left: what is taken out of the table would still stand in it.
      const { onDisk, named } = await filesOf(join(folder, "events", topic));
      expect(onDisk.length).toBeGreaterThan(0);
      expect(
        onDisk.filter((path) => !named.has(path)),
        `seed ${seed * 77}`,
      ).toEqual([]);
    }
    expect(conflicts).toBeGreaterThan(0);
  });
});
