/**
 * What the command line reads of events that a worker has folded and archived, beside a data folder that took in the
 * same events itself: the same values. Over a real Kafka and a real Redis.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../../src/ingest/kafka/settings.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { WorkerProcess } from "../ingest/kafka/worker-process.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { startRedis } from "../services/redis.ts";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const describeWithKafka = await describeWhere("kafka");
const folder = mkdtempSync(join(tmpdir(), "onefold-worker-tables-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const topic = `sales-${randomUUID().slice(0, 8)}`;
const settings = { prefix: `t${randomUUID().slice(0, 8)}`, partitionCount: 3, sessionMs: 6000 };
const EVENTS = 40;
const events = Array.from({ length: EVENTS }, (_, n) => ({
  id: `e${n}`,
  user: `u${n % 7}`,
  shop: `s${n % 3}`,
  amount: (n * 37) % 101,
  at: new Date(Date.UTC(2026, 0, 5, 10, n)).toISOString(),
}));

function writeProject(): void {
  writeFileSync(
    join(folder, "features.ts"),
    `import { col, count, entity, last, service, standardize, stream, sum, t, view } from "onefold";
export const user = entity("user", { user: t.string() });
export const size = entity("size", { is_large: t.bool() });
export const sales = stream("sales", {
  columns: { id: t.string(), user: t.string(), shop: t.string(), amount: t.int64(), at: t.timestamp() },
  derive: { is_large: col("amount").gt(50) },
  eventTime: "at",
  id: "id",
  kafka: "${topic}",
});
export const spending = view("spending", {
  entity: user, source: sales, features: { spent: sum("amount"), latest: last("amount") },
});
export const sizes = view("sizes", { entity: size, source: sales, features: { sales: count() } });
export const plain = service("plain", { features: [spending] });
export const scaled = service("scaled", { features: [spending], transform: { latest: standardize("latest") } });
`,
  );
  writeFileSync(join(folder, "events.ndjson"), events.map((event) => JSON.stringify(event)).join("\n"));
  const labels = Array.from({ length: 7 }, (_, n) => `u${n},2100-01-01T00:00:00Z`);
  writeFileSync(join(folder, "labels.csv"), `user,t\n${labels.join("\n")}\n`);
}

const json = async (...args: string[]): Promise<Record<string, any>> => {
  const { exitCode, result } = await runJson(args, folder);
  expect(exitCode, JSON.stringify(result)).toBe(0);
  return result;
};

describeWithKafka("commands that read what workers have archived", () => {
  it("say what an embedded platform says of the same events", { timeout: 300_000 }, async () => {
    const kafka = await shared("kafka");
    const redis = await startRedis();
    const connection = new KafkaConnection(kafkaSettings({ brokers: [kafka], ...settings }));
    writeProject();
    await connection.createTopic({ name: topic, partitionCount: 2, replicas: 1, configs: {} });
    const records = events.map((event, n) => ({
      topic,
      partition: n % 2,
      key: null,
      value: Buffer.from(JSON.stringify(event)),
      headers: new Map<string, string>(),
    }));
    await connection.send(records);
    for (const args of [
      ["apply", "--data", "embedded"],
      ["ingest", "events.ndjson", "--source", "sales", "--live", "--data", "embedded"],
      ["apply", "--data", "reader"],
    ]) {
      const { exitCode, stderr } = await runCli(args, folder);
      expect(exitCode, stderr).toBe(0);
    }
    const options = { onlineUrl: redis.url, archiveFolder: join(folder, "archive") };
    const of = { settings: { ...connection.settings }, definitions: join(folder, "features.ts") };
    const worker = await WorkerProcess.start(of, options);
    // By user and by size.
    await worker.until(({ archived }) => archived === 2 * EVENTS, 60_000);
    const profiles = "monitor/quality/sources/sales/*.parquet";
    const engine = await openDuckDb({ threads: 1 });
    const profiled = (from: string) =>
      engine.rows(`SELECT column_name, sum(row_count)::INT AS row_count, sum(nulls)::INT AS nulls, max(distinct_count)::INT AS distinct_count
        FROM read_parquet('${join(folder, from, profiles)}') GROUP BY 1 ORDER BY 1`);
    await expect
      .poll(() => profiled("archive").catch(() => []), { timeout: 60_000, interval: 200 })
      .toContainEqual({ column_name: "amount", row_count: EVENTS, nulls: 0, distinct_count: EVENTS });
    // Of each event the values that it left its user with.
    const spending = async (): Promise<Record<string, unknown> | undefined> => {
      const from = join(folder, "archive", "monitor/quality/views/spending@1/*.parquet");
      const [found] = await engine.rows(
        `SELECT sum(row_count)::INT AS row_count, max(max)::INT AS most FROM read_parquet('${from}') WHERE column_name = 'latest'`,
      );
      return found;
    };
    const most = Math.max(...events.map(({ amount }) => amount));
    await expect
      .poll(() => spending().catch(() => null), { timeout: 60_000, interval: 200 })
      .toEqual({ row_count: EVENTS, most });
    await worker.kill("SIGTERM");

    const tables = ["--data", "reader", "--archive", "archive", "--kafka-prefix", settings.prefix];
    const both = async (...args: string[]): Promise<readonly [Record<string, any>, Record<string, any>]> => [
      await json(...args, "--data", "embedded"),
      await json(...args, ...tables),
    ];

    const [theirQuality, ourQuality] = await both("quality", "sales");
    const columns = ({ subjects: [subject] }: Record<string, any>) =>
      (subject.profile as { column: string }[] | null)?.map(({ column }) => column);
    expect(await profiled("archive")).toEqual(await profiled("embedded"));
    expect(columns(ourQuality)).toEqual(columns(theirQuality));
    expect(columns(await json("quality", "spending", ...tables))).toEqual(["spent", "latest"]);
    await engine.close();
    // A worker writes what it saw when it stops.
    const drift = ["drift", "--service", "plain", "--of", "folded", "--current", "last:24h", "--baseline", "last:24h"];
    const { reports } = await json(...drift, ...tables);
    expect(reports[0]).toMatchObject({ current: { vectors: EVENTS, exact: false }, drifted: false });
    expect(reports[0].features).toMatchObject([{ feature: "spent" }, { feature: "latest" }]);

    // A server beside the registry watches what workers fold.
    const server = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json", ...tables], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [line] = (await once(server.stdout, "data")) as [Buffer];
      const { url } = JSON.parse(line.toString()) as { url: string };
      const asked = async (path: string): Promise<any> => (await fetch(`${url}${path}`)).json();
      expect(columns(await asked("/quality?name=spending"))).toEqual(["spent", "latest"]);
      const folded = await asked("/drift?service=plain&of=folded&current=last:24h&baseline=last:24h");
      expect(folded).toMatchObject({ current: { vectors: EVENTS }, drifted: false });
    } finally {
      server.kill("SIGKILL");
    }

    const fit = ["fit", "--service", "scaled", "--labels", "labels.csv", "--train-share", "1", "--allow-after-log"];
    const [theirFit, ourFit] = await both(...fit);
    expect(theirFit["parameters"][0].values).toBe(7);
    expect(ourFit["parameters"]).toEqual(theirFit["parameters"]);
    expect(ourFit["sha256"]).toMatch(/^[0-9a-f]{64}$/);

    const [theirs, ours] = await both("explain", "spending", "--feature", "spent", "--entity", "user=u3");
    expect(ours["value"]).toBe(theirs["value"]);
    expect(ours["roles"]).toEqual(theirs["roles"]);
    expect(ours["roles"].counted).toBeGreaterThan(0);

    const rowsOf = ({ rows }: Record<string, any>): unknown[] =>
      (rows as { key: string; events: number; values: unknown }[])
        .map(({ key, events: count, values }) => ({ key, count, values }))
        .toSorted((a, b) => a.key.localeCompare(b.key));
    for (const [view, entities] of [
      ["spending", 7],
      ["sizes", 2],
    ] as const) {
      const [theirPreview, ourPreview] = await both("preview", view);
      expect(rowsOf(ourPreview)).toEqual(rowsOf(theirPreview));
      expect(rowsOf(ourPreview)).toHaveLength(entities);
    }
    const twice = await runCli(["preview", "spending", "--events", "events.ndjson", "--archive", "archive"], folder);
    expect(twice.exitCode).toBe(2);

    // What is in Redis, read without a server; and the row as served, built again from the archive.
    const entity = ["get", "--service", "plain", "--entity", "user=u3"];
    const embedded = await json(...entity, "--data", "embedded");
    const online = await json(...entity, "--token", "--data", "reader", "--online", redis.url);
    expect(online["features"]).toEqual(embedded["features"]);
    writeFileSync(join(folder, "users.csv"), "user\nu3\nu3\n");
    const ofFile = ["get", "--service", "plain", "--entities", "users.csv", "--out", "vectors.ndjson"];
    await json(...ofFile, "--data", "reader", "--online", redis.url);
    const vector = JSON.stringify({ entities: { user: "u3" }, features: online["features"] });
    expect(readFileSync(join(folder, "vectors.ndjson"), "utf8")).toBe(`${vector}\n${vector}\n`);
    const exported = await both("export", "spending", "--out", "exported.csv", "--as-of", "2100-01-01T00:00:00Z");
    expect(exported.map(({ rows }) => rows)).toEqual([7, 7]);
    writeFileSync(join(folder, "served.csv"), `user,token\nu3,${online["metadata"].token}\n`);
    const served = ["--labels", "served.csv", "--token-column", "token", "--knowledge", "as-served"];
    await json("train", "--service", "plain", ...served, "--out", "served.out.csv", ...tables);
    const { spent, latest } = online["features"];
    expect(readFileSync(join(folder, "served.out.csv"), "utf8")).toContain(`,${spent},${latest}`);

    await connection.close();
    await redis.close();
  });
});
