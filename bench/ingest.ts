/**
 * Ingest: rows pushed in batches of 500 by four callers, acknowledged only once synced and folded into three
 * views of ten features each, against the bare write of as many bytes to the same disk with a sync for each
 * batch. `npm run bench -- ingest [--json]`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Micros } from "../src/base/micros.ts";
import { diskStorage } from "../src/ingest/disk-storage.ts";
import { openSourcePipeline } from "../src/ingest/open-source-pipeline.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { count, entity, max, mean, stream, t, view } from "../src/index.ts";
import { openLmdbStore } from "../src/online-store/lmdb.ts";
import { report } from "./report.ts";

const EVENTS = 100_000;
const BATCH_ROWS = 500;
const CALLERS = 4;
const ROUNDS = 3;

const airport = entity("airport", { airport: t.string() });
const arrivals = stream("arrivals", {
  columns: {
    flight: t.string(),
    origin: t.string(),
    destination: t.string(),
    carrier: t.string(),
    at: t.timestamp(),
    delay: t.int64(),
  },
  eventTime: "at",
  id: "flight",
});
const features = {
  arrivals_1h: count().over("1h"),
  mean_delay_1h: mean("delay").over("1h"),
  worst_delay_1h: max("delay").over("1h"),
  arrivals_24h: count().over("24h"),
  mean_delay_24h: mean("delay").over("24h"),
  worst_delay_24h: max("delay").over("24h"),
  arrivals_7d: count().over("7d"),
  mean_delay_7d: mean("delay").over("7d"),
  worst_delay_7d: max("delay").over("7d"),
  arrivals: count(),
};
const options = { entity: airport, source: arrivals, features } as const;
const views = [
  view("origin_delays", { ...options, key: { airport: "origin" } }),
  view("destination_delays", { ...options, key: { airport: "destination" } }),
  view("carrier_delays", { ...options, key: { airport: "carrier" } }),
];

let time = Date.UTC(2026, 0, 1) * 1000;
const clock = { now: (): Micros => time as Micros };

function batches(round: number): Record<string, unknown>[][] {
  return Array.from({ length: EVENTS / BATCH_ROWS }, (_, b) =>
    Array.from({ length: BATCH_ROWS }, (_, i) => {
      const n = (round * EVENTS + b * BATCH_ROWS + i) * 48271;
      const at = { micros: time + b * 250_000 - (n % 60) * 1_000_000 };
      return {
        flight: `flight-${n}`,
        origin: `A${n % 331}`,
        destination: `A${n % 293}`,
        carrier: `C${n % 17}`,
        at,
        delay: (n % 90) - 20,
      };
    }),
  );
}

async function pushAll(round: number, folder: string): Promise<number> {
  const store = openLmdbStore({ folder: join(folder, "online") });
  const pipeline = await openSourcePipeline({
    source: arrivals,
    views: views.map((definition) => ({
      definition,
      entity: airport,
      fold: compileViewFold(definition, arrivals, airport),
    })),
    storage: diskStorage,
    folder,
    store,
    clock,
  });
  const waiting = batches(round);
  const began = performance.now();
  const caller = async (): Promise<void> => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
      time += 250_000;
      const { accepted } = await pipeline.push(batch);
      if (accepted !== BATCH_ROWS) throw new Error(`only ${accepted} of a batch were accepted`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const seconds = (performance.now() - began) / 1000;
  await pipeline.close();
  await store.close();
  return EVENTS / seconds;
}

async function writeAll(folder: string): Promise<number> {
  const file = await diskStorage.open(join(folder, "bare"));
  const bytes = new Uint8Array(BATCH_ROWS * 60);
  const began = performance.now();
  for (let i = 0; i < EVENTS / BATCH_ROWS; i++) {
    await file.append(bytes);
    await file.sync();
  }
  const seconds = (performance.now() - began) / 1000;
  await file.close();
  return EVENTS / seconds;
}

const root = mkdtempSync(join(tmpdir(), "onefold-bench-"));
try {
  const pushed: number[] = [];
  const written: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const folder = join(root, String(round));
    pushed.push(await pushAll(round, folder));
    written.push(await writeAll(folder));
  }
  const measured = { bench: "ingest", unit: "events/s", better: "higher", rounds: pushed } as const;
  report({ ...measured, case: "push-durable-and-folded", goal: 50_000 });
  report({
    ...measured,
    case: "push-against-bare-disk",
    reference: { name: "write-and-sync", rounds: written },
    goal: 0.1,
  });
} finally {
  rmSync(root, { recursive: true, force: true });
}
