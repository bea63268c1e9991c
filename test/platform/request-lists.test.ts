/** Lists in request data and in values: served, trained on from any label file, and read back from a training set. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { entity, lastK, onDemand, service, stream, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), country: t.string(), spent: t.float64(), seal: t.bytes() },
  eventTime: "at",
});
const lately = view("lately", {
  entity: user,
  source: visits,
  features: {
    countries: lastK("country", 3),
    spent: lastK("spent", 3),
    times: lastK("at", 3),
    seals: lastK("seal", 3),
  },
});
const basket = onDemand("basket", {
  inputs: [lately.pick("countries")],
  request: {
    to: t.array(t.string()),
    prices: t.array(t.float64()).nullable(),
    when: t.array(t.timestamp()).nullable(),
  },
  outputs: { known: t.array(t.string()), halves: t.array(t.float64()), moments: t.array(t.timestamp()) },
  compute: ({ countries, to, prices, when }) => ({
    known: to.filter((one) => (countries ?? []).includes(one)),
    halves: prices === null ? null : prices.map((one) => (one === null ? null : one / 2)),
    moments: when,
  }),
});
const model = service("model", { features: [lately, basket] });
const definitions = [user, visits, lately, basket, model];

const REQUESTS = [
  {
    to: ["IT", "a, b", '"', ""],
    prices: [0.1, 1e22, 5e-324, 0.30000000000000004],
    when: ["2026-01-01T00:00:00.123456Z"],
  },
  { to: [], prices: null, when: null },
] as const;

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  const clock = new ReplayClock(parseMicros("2026-01-02T00:00:00Z"));
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
  const seal = "AP8=";
  await platform.push("visits", [
    { user_id: "ada", at: "2026-01-01T10:00:00.000001Z", country: "a, b", spent: 0.1, seal },
    { user_id: "ada", at: "2026-01-01T11:00:00Z", country: "IT", spent: 1e-7, seal },
  ]);
  clock.advanceTo(parseMicros("2026-01-02T01:00:00Z"));
  await platform.settle();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

const cell = (value: unknown): string => (value === null ? "" : `"${JSON.stringify(value).replaceAll('"', '""')}"`);

async function labelsIn(format: "csv" | "ndjson" | "parquet"): Promise<string> {
  const path = join(folder, `labels.${format}`);
  const row = { user_id: "ada", t: "2026-01-02T00:30:00Z" };
  const ndjson = REQUESTS.map((request) => `${JSON.stringify({ ...row, ...request })}\n`).join("");
  const csv = REQUESTS.map(({ to, prices, when }) =>
    [row.user_id, row.t, cell(to), cell(prices), cell(when)].join(","),
  );
  if (format === "ndjson") await writeFile(path, ndjson);
  else if (format === "csv") await writeFile(path, `user_id,t,to,prices,when\n${csv.join("\n")}\n`);
  else {
    await writeFile(join(folder, "typed.ndjson"), ndjson);
    const types =
      "{user_id: 'VARCHAR', t: 'VARCHAR', \"to\": 'VARCHAR[]', prices: 'DOUBLE[]', \"when\": 'TIMESTAMPTZ[]'}";
    const select = `SELECT * FROM read_json(${sqlText(join(folder, "typed.ndjson"))}, columns = ${types})`;
    await query((engine) => engine.run(`COPY (${select}) TO ${sqlText(path)} (FORMAT parquet)`));
  }
  return path;
}

async function query<T>(work: (engine: Awaited<ReturnType<typeof openDuckDb>>) => Promise<T>): Promise<T> {
  const engine = await openDuckDb();
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

async function train(labels: string, out?: string): Promise<unknown[][]> {
  const set = await platform.train({ service: "model", labels, ...(out === undefined ? {} : { out }) });
  return REQUESTS.map((_, row) => set.columns.map((column) => column.value(row)));
}

it.each(["csv", "ndjson", "parquet"] as const)("lists of %s labels give a row what is served", async (format) => {
  const labels = await labelsIn(format);
  const rows = await train(labels);
  for (const [i, request] of REQUESTS.entries()) {
    const { features } = await platform.vector("model", { user_id: "ada" }, { request });
    const { known, halves } = features;
    expect(rows[i]!.slice(4, 6)).toEqual([known, halves]);
  }
  expect(rows[0]!.slice(4)).toEqual([["IT", "a, b"], [0.05, 5e21, 0, 0.15000000000000002], [1767225600123456]]);
  expect(rows[1]!.slice(4)).toEqual([[], null, null]);
});

it.each(["csv", "ndjson", "parquet"] as const)(
  "a training set of %s labels can be read back from CSV",
  async (format) => {
    const out = join(folder, "set.csv");
    const rows = await train(await labelsIn(format), out);
    expect(rows[0]!.slice(0, 4)).toEqual([
      ["a, b", "IT"],
      [0.1, 1e-7],
      [1767261600000001, 1767265200000000],
      [Uint8Array.of(0, 255), Uint8Array.of(0, 255)],
    ]);
    const read = await query((engine) => {
      return engine.rows(`SELECT * FROM read_csv(${sqlText(out)}, header = true, all_varchar = true)`);
    });
    const parsed = read.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, text]) => [name, jsonOf(text)])),
    );
    expect(parsed[0]).toMatchObject({
      to: REQUESTS[0].to,
      prices: REQUESTS[0].prices,
      when: REQUESTS[0].when,
      countries: ["a, b", "IT"],
      spent: [0.1, 1e-7],
      times: ["2026-01-01T10:00:00.000001Z", "2026-01-01T11:00:00Z"],
      seals: ["AP8=", "AP8="],
      known: ["IT", "a, b"],
      moments: REQUESTS[0].when,
    });
    expect(parsed[1]).toMatchObject({ to: [], prices: null, when: null, known: [], halves: null });
    // as labels they are what they were, but for the features, which cannot stand there twice
    const again = join(folder, "again.csv");
    const text = await readFile(out, "utf8");
    await writeFile(
      again,
      text.replace(/countries.*/, (names) => names.replaceAll(/\w+/g, "old_$&")),
    );
    expect(await train(again)).toEqual(rows);
  },
);

it.each(["csv", "ndjson", "parquet"] as const)(
  "a training set of %s labels has typed lists in Parquet",
  async (format) => {
    const out = join(folder, "set.parquet");
    const rows = await train(await labelsIn(format), out);
    const described = await query((engine) => engine.rows(`DESCRIBE SELECT * FROM ${sqlText(out)}`));
    const types = Object.fromEntries(described.map((row) => [row["column_name"], row["column_type"]]));
    expect(types).toMatchObject({
      to: "VARCHAR[]",
      prices: "DOUBLE[]",
      when: "TIMESTAMP WITH TIME ZONE[]",
      known: "VARCHAR[]",
      times: "TIMESTAMP WITH TIME ZONE[]",
    });
    const [first] = await query((engine) => engine.rows(`SELECT "to", prices, "when", known FROM ${sqlText(out)}`));
    expect(first).toEqual({
      to: REQUESTS[0].to,
      prices: REQUESTS[0].prices,
      when: [1767225600123456],
      known: rows[0]![4],
    });
  },
);

function jsonOf(text: unknown): unknown {
  return typeof text === "string" && text.startsWith("[") ? (JSON.parse(text) as unknown) : text;
}
