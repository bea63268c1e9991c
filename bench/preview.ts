/**
 * Preview: from the command to the table, for 20 entities of three million events of history, and what a save
 * costs in `onefold dev`. `npm run bench -- preview [--json]`.
 *
 * Two shapes of history: few heavy entities (as airports are: the 20 with the newest events hold a good share of
 * all events) and many light ones (as users are).
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openDuckDb } from "../src/offline-store/duckdb.ts";
import { openPlatform } from "../src/platform.ts";
import { entity, stream, t } from "../src/index.ts";
import { report } from "./report.ts";

const EVENTS = 3_000_000;
const ENTITIES = 20;
const ROUNDS = 3;
const COMMAND = join(process.cwd(), "dist", "cli", "main.js");

const columns = {
  key: t.string(),
  other: t.string(),
  carrier: t.string(),
  at: t.timestamp(),
  delay: t.int64(),
  distance: t.float64(),
};
/** SQL of the key of event `i`: the square of a uniform number makes the first keys heavy. */
const SHAPES = { heavy: "pow(random(), 2) * 300", light: "random() * 200000" };

const features = (shape: string, window: string): string => `
import { col, count, entity, last, max, mean, stddev, stream, sum, t, view } from "onefold";
const thing = entity("${shape}", { key: t.string() });
const events = stream("${shape}_events", {
  columns: { key: t.string(), other: t.string(), carrier: t.string(), at: t.timestamp(), delay: t.int64(), distance: t.float64() },
  eventTime: "at",
});
export const delays = view("delays", {
  version: 1, entity: thing, source: events,
  features: {
    n_1h: count().over("1h"), n_24h: count().over("24h"), late_24h: count().over("24h").where(col("delay").gt(15)),
    mean_1h: mean("delay").over("${window}"), mean_24h: mean("delay").over("24h"), mean_7d: mean("delay").over("7d"),
    worst_24h: max("delay").over("24h"), spread_7d: stddev("delay").over("7d"), miles_7d: sum("distance").over("7d"),
    last_other: last("other"), last_delays: mean("delay").over({ last: 20 }), n: count(),
  },
});
`;

async function makeHistory(folder: string): Promise<void> {
  const engine = await openDuckDb({});
  const files = Object.entries(SHAPES).map(([shape, key]) => ({ shape, key, path: join(folder, `${shape}.parquet`) }));
  for (const { key, path } of files) {
    await engine.run(`SELECT setseed(0.5)`);
    await engine.run(`COPY (SELECT 'K' || floor(${key})::INTEGER AS key, 'K' || (i * 7 % 300) AS other, 'C' || (i % 14) AS carrier,
        TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_seconds(i * 10) AS at, (i * 31 % 90) - 20 AS delay, (i % 2500)::DOUBLE AS distance
      FROM range(${EVENTS}) r(i)) TO '${path}' (FORMAT parquet)`);
  }
  await engine.close();
  const definitions = files.flatMap(({ shape }) => [
    entity(shape, { key: t.string() }),
    stream(`${shape}_events`, { columns, eventTime: "at" }),
  ]);
  const platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  await platform.apply(definitions);
  for (const { shape, path } of files) await platform.importHistory(`${shape}_events`, [path]);
  await platform.close();
}

/** Runs the command; resolves with its wall time once it ended well. */
async function previewSeconds(shape: string, folder: string): Promise<number> {
  const began = performance.now();
  const args = ["preview", "delays", "--definitions", `${shape}.ts`, "--data", "data", "--sample", String(ENTITIES)];
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const exitCode = await new Promise((done) => child.once("close", done));
  // A header, its rule, and a row an entity.
  if (exitCode !== 0 || output.trim().split("\n").length < ENTITIES + 2) throw new Error(`no table: ${output}`);
  return (performance.now() - began) / 1000;
}

/** Seconds from each of several saves of the definitions to their preview, in one running `onefold dev`. */
async function saveSeconds(shape: string, folder: string): Promise<number[]> {
  const args = ["dev", "--definitions", `${shape}.ts`, "--data", "data", "--sample", String(ENTITIES), "--json"];
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextCycle = async (): Promise<void> => {
    const { value } = await lines.next();
    const { views } = JSON.parse(String(value)) as { views: { preview?: { rows: unknown[] } }[] };
    if (views[0]?.preview?.rows.length !== ENTITIES) throw new Error(`no preview: ${value}`);
  };
  const seconds: number[] = [];
  try {
    await nextCycle();
    for (let round = 1; round <= ROUNDS; round++) {
      const began = performance.now();
      writeFileSync(join(folder, `${shape}.ts`), features(shape, `${round + 1}h`));
      await nextCycle();
      seconds.push((performance.now() - began) / 1000);
    }
  } finally {
    child.kill("SIGINT");
    await new Promise((done) => child.once("close", done));
  }
  return seconds;
}

if (!existsSync(COMMAND)) throw new Error("dist/ is not built: run `npm run build`");
const folder = mkdtempSync(join(tmpdir(), "onefold-bench-preview-"));
try {
  // Where the definitions find the package.
  symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"));
  await makeHistory(folder);
  for (const shape of Object.keys(SHAPES)) {
    writeFileSync(join(folder, `${shape}.ts`), features(shape, "1h"));
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await previewSeconds(shape, folder));
    report({ bench: "preview", case: `${shape}-command`, unit: "s", better: "lower", rounds, goal: 3 });
    const saves = await saveSeconds(shape, folder);
    report({ bench: "preview", case: `${shape}-save`, unit: "s", better: "lower", rounds: saves, goal: 1 });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
