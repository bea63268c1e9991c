/**
 * `onefold correct` and `retract` of events that come from Kafka: what is served, what training sees before and behind, what
 * `explain` and the audit say; and what is refused. Over a real Kafka and a real Redis.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../../src/ingest/kafka/settings.ts";
import { WorkerProcess } from "../ingest/kafka/worker-process.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { startRedis } from "../services/redis.ts";
import { runJson } from "./run-cli.ts";

const describeWithKafka = await describeWhere("kafka");
const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-corrections-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const topic = `sales-${randomUUID().slice(0, 8)}`;
const settings = { prefix: `t${randomUUID().slice(0, 8)}`, partitionCount: 3, sessionMs: 6000 };
const EVENTS = 20;
const events = Array.from({ length: EVENTS }, (_, n) => ({
  id: `e${n}`,
  user: `u${n % 4}`,
  shop: `s${n % 3}`,
  amount: n + 1,
  at: new Date(Date.UTC(2026, 0, 5, 10, n)).toISOString(),
}));

const json = async (...args: string[]): Promise<Record<string, any>> => {
  const { exitCode, result } = await runJson(args, folder);
  expect(exitCode, JSON.stringify(result)).toBe(0);
  return result;
};

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

describeWithKafka("onefold correct and retract of events from Kafka", () => {
  it("change what counts from then on, and nothing of what was known before", { timeout: 600_000 }, async () => {
    const kafka = await shared("kafka");
    const redis = await startRedis();
    const connection = new KafkaConnection(kafkaSettings({ brokers: [kafka], ...settings }));
    writeFileSync(
      join(folder, "features.ts"),
      `import { count, entity, last, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user: t.string() });
export const shop = entity("shop", { shop: t.string() });
export const sales = stream("sales", {
  columns: { id: t.string(), user: t.string(), shop: t.string(), amount: t.int64(), at: t.timestamp() },
  eventTime: "at", id: "id", kafka: "${topic}",
});
export const spending = view("spending", {
  entity: user, source: sales, features: { spent: sum("amount"), latest: last("amount") },
});
export const shops = view("shops", { entity: shop, source: sales, features: { sold: sum("amount"), sales: count() } });
export const model = service("model", { features: [spending, shops] });
`,
    );
    await connection.createTopic({ name: topic, partitionCount: 2, replicas: 1, configs: {} });
    const send = (rows: readonly object[], headers: Record<string, string> = {}): Promise<void> =>
      connection.send(
        rows.map((row, n) => ({
          topic,
          partition: n % 2,
          key: null,
          value: Buffer.from(JSON.stringify(row)),
          headers: new Map(Object.entries(headers)),
        })),
      );
    await send(events);
    await json("apply", "--data", "data");
    const of = { settings: { ...connection.settings }, definitions: join(folder, "features.ts") };
    const worker = await WorkerProcess.start(of, { onlineUrl: redis.url, archiveFolder: join(folder, "archive") });
    // By user and by shop.
    await worker.until(({ archived }) => archived === 2 * EVENTS, 120_000);

    const tables = ["--data", "data", "--archive", "archive", "--kafka-prefix", settings.prefix];
    const there = [...tables, "--kafka", kafka];
    const vector = async (name: string, at: string): Promise<Record<string, unknown>> => {
      const entities = ["--entity", `user=${name}`, "--entity", `shop=${at}`];
      return (await json("get", "--service", "model", ...entities, "--data", "data", "--online", redis.url))[
        "features"
      ];
    };
    const seen = async (name: string, at: string, wanted: Record<string, unknown>): Promise<void> => {
      await expect.poll(() => vector(name, at), { timeout: 120_000, interval: 200 }).toMatchObject(wanted);
    };
    const spent = (name: string, without: readonly number[] = []): number =>
      events.reduce((sum, { user, amount }, n) => sum + (user === name && !without.includes(n) ? amount : 0), 0);
    const sold = (at: string, without: readonly number[] = []): number =>
      events.reduce((sum, { shop, amount }, n) => sum + (shop === at && !without.includes(n) ? amount : 0), 0);

    // e5 is of u1 and s2; e6 of u2 and s0.
    await seen("u1", "s2", { spent: spent("u1"), sold: sold("s2"), sales: 6 });
    const before = new Date().toISOString();
    await pause();
    const retracted = await json("retract", "sales", "--id", "e5", ...there);
    expect(retracted["outcomes"]).toEqual([{ status: "retracted", id: "e5", partition: 1, events: 1 }]);
    await seen("u1", "s2", { spent: spent("u1", [5]), sold: sold("s2", [5]), sales: 5 });
    await pause();
    const between = new Date().toISOString();
    await pause();
    const row = JSON.stringify({ ...events[6], user: "u3", amount: 500 });
    const corrected = await json("correct", "sales", "--id", "e6", "--row", row, ...there);
    expect(corrected["outcomes"]).toMatchObject([{ status: "replaced", id: "e6", partition: 0, events: 1 }]);
    await seen("u2", "s0", { spent: spent("u2", [6]), sold: sold("s0", [6]) + 500, sales: 7 });
    await seen("u3", "s0", { spent: spent("u3") + 500 });

    // The same event once more is a duplicate: it is not back.
    let dropped = 0;
    await worker.until(({ duplicates }) => (dropped = duplicates) >= 0);
    await send([events[5]!]);
    await worker.until(({ duplicates }) => duplicates > dropped, 120_000);
    // Both, in both topics, with a retraction in each partition.
    await worker.until(({ archived }) => archived >= 2 * (EVENTS + 1) + 2 * 2 * settings.partitionCount, 120_000);
    await pause();
    const after = new Date().toISOString();

    writeFileSync(
      join(folder, "labels.csv"),
      [
        "user,shop,t",
        ...["u1,s2", "u2,s0", "u3,s1"].flatMap((key) => [before, between, after].map((t) => `${key},${t}`)),
      ].join("\n"),
    );
    const train = ["train", "--service", "model", "--labels", "labels.csv", "--allow-after-log", ...tables];
    const trained = async (out: string, ...more: string[]): Promise<string[][]> => {
      await json(...train, "--out", out, ...more);
      const [header, ...lines] = readFileSync(join(folder, out), "utf8").trim().split("\n");
      const at = header!.split(",").indexOf("spent");
      return lines.map((line) => line.split(",").filter((_, i) => i === at || i === at + 2));
    };
    const known = [
      [spent("u1"), sold("s2")],
      [spent("u1", [5]), sold("s2", [5])],
      [spent("u1", [5]), sold("s2", [5])],
      [spent("u2"), sold("s0")],
      [spent("u2"), sold("s0")],
      [spent("u2", [6]), sold("s0", [6]) + 500],
      [spent("u3"), sold("s1")],
      [spent("u3"), sold("s1")],
      [spent("u3") + 500, sold("s1")],
    ];
    expect(await trained("known.csv")).toEqual(known.map((each) => each.map(String)));
    const final = known.map((_, i) => known[Math.floor(i / 3) * 3 + 2]!);
    expect(await trained("final.csv", "--knowledge", "final")).toEqual(final.map((each) => each.map(String)));

    const explained = async (asOf: string) =>
      json("explain", "spending", "--feature", "spent", "--entity", "user=u1", "--as-of", asOf, ...tables);
    expect((await explained(before))["roles"]).toEqual({ counted: 5 });
    expect((await explained(after))["roles"]).toEqual({ counted: 4, retracted: 1 });

    // What was taken back can be put back, and what is not there cannot be.
    await json("correct", "sales", "--id", "e5", "--row", JSON.stringify(events[5]), ...there);
    await seen("u1", "s2", { spent: spent("u1"), sold: sold("s2"), sales: 6 });
    const refused = async (...args: string[]): Promise<unknown> => (await runJson(args, folder)).result["error"];
    expect(await refused("retract", "sales", "--id", "nobody", ...there)).toMatchObject({ code: "EVENT_UNKNOWN" });
    expect(await refused("correct", "sales", "--id", "e7", "--row", "{}", ...there)).toMatchObject({
      code: "NULL_NOT_ALLOWED",
    });
    expect(await refused("retract", "sales", "--id", "e7", "--data", "data")).toMatchObject({
      code: "REQUEST_INVALID",
    });
    // A view with a key of its own, and a name before all others: its table is not there yet, and the event is in others.
    const code = readFileSync(join(folder, "features.ts"), "utf8");
    writeFileSync(
      join(folder, "features.ts"),
      `${code}
export const sale = entity("sale", { id: t.string() });
export const amounts = view("amounts", { entity: sale, source: sales, features: { paid: last("amount") } });
`,
    );
    await json("apply", "--data", "data");
    const later = await json("retract", "sales", "--id", "e7", ...there);
    expect(later["outcomes"]).toEqual([{ status: "retracted", id: "e7", partition: 1, events: 1 }]);
    writeFileSync(join(folder, "archive", "format.json"), '{"format": 1000, "onefold": "99.0.0"}');
    expect(await refused("retract", "sales", "--id", "e8", ...there)).toMatchObject({ code: "DATA_FOLDER_FORMAT" });
    expect(await worker.kill("SIGTERM")).toBe(0);
    await connection.close();
    await redis.close();
  });
});
