/**
 * `onefold forget` of an entity whose events come from Kafka, over a real Kafka and a real Redis, beside a worker that goes on: nobody
 * finds its key, its values or its ids in what Onefold keeps; others are as if its events had never come; what comes later begins
 * anew; and an old record that is read again is not taken.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, expect, it } from "vitest";
import { scanTopics, wholeRanges } from "../../src/ingest/kafka/topic-scan.ts";
import { describeWhere } from "../services/describe-where.ts";
import { KafkaSales, saleOf, untilSeen } from "./kafka-sales.ts";

const describeWithKafka = await describeWhere("kafka");
const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-forgetting-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const EVENTS = 40;
/** Texts that nobody else has. */
const ADA = "ada-of-lovelace";
const events = Array.from({ length: EVENTS }, (_, n) => {
  return n % 4 === 1 ? saleOf(n, { id: `secret-id-${n}`, user: ADA, note: `secret-note-${n}` }) : saleOf(n);
});
const SECRETS = [ADA, "secret-id-", "secret-note-"];

function filesUnder(path: string): string[] {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** One that was replaced since it was listed, as workers go on, has nothing. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

function secretsIn(bytes: Buffer): string[] {
  return SECRETS.filter((secret) => bytes.includes(secret));
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2000));

describeWithKafka("onefold forget of an entity whose events come from Kafka", () => {
  it("leaves nothing of it, and others as if it had never been", { timeout: 900_000 }, async () => {
    const sales = await KafkaSales.open(folder);
    const { connection, redis, settings, tables, there } = sales;
    const client = new Redis(redis.url);
    const json = (...args: string[]) => sales.json(...args);
    const seen = (user: string, shop: string, wanted: Record<string, unknown>) =>
      untilSeen(sales, { user, shop }, wanted);
    await sales.send(events);
    // A dead letter of hers, and one of somebody else's.
    await sales.send([
      { ...events[1], id: "secret-id-letter", amount: "many" },
      { ...events[2], id: "letter", amount: "many" },
    ]);
    await json("apply", "--data", "data");
    let worker = await sales.startWorker();
    await worker.until(({ archived }) => archived === 2 * EVENTS, 120_000);

    // One of hers is corrected before: a retraction stands in each partition, and names its id.
    const row = JSON.stringify({ ...events[5], amount: 1000 });
    await json("correct", "sales", "--id", events[5]!.id, "--row", row, ...there);
    const sold = (at: string): number =>
      events.reduce((sum, { shop, user, amount }) => sum + (shop === at && user !== ADA ? amount : 0), 0);
    const spent = (name: string): number =>
      events.reduce((sum, { user, amount }) => sum + (user === name ? amount : 0), 0);
    await seen(ADA, "s2", { spent: spent(ADA) - events[5]!.amount + 1000 });

    const forget = ["forget", "user", ADA, ...there, "--online", sales.online];
    expect(await sales.refused(...forget)).toMatchObject({ code: "FORGET_SHARED" });
    expect(await sales.refused("forget", "user", ADA, "--data", "data")).toMatchObject({ code: "REQUEST_INVALID" });
    const ours = (await connection.topicNames()).filter((name) => name.startsWith(`${settings.prefix}.`));
    /** Where her texts are found: in records of topics of ours, and in files. */
    const found = async (): Promise<string[]> => {
      const places = [join(folder, "archive"), join(folder, "data")].flatMap(filesUnder).flatMap((path) => {
        return secretsIn(contentOf(path)).map((secret) => `${path} ${secret}`);
      });
      await scanTopics(connection, await wholeRanges(connection, ours), (at, { key, value, headers, offset }) => {
        const parts = [key, value, ...[...headers()].flatMap(([name, text]) => [Buffer.from(name), text])];
        for (const secret of parts.flatMap((part) => secretsIn(part ?? Buffer.alloc(0))))
          places.push(`${at.topic} ${offset} ${secret}`);
      });
      return places;
    };
    const before = await found();
    for (const place of ["/archive/events", ".by.user ", ".by.shop ", ".ids ", ".dead-letters "])
      expect(
        before.some((one) => one.includes(place)),
        place,
      ).toBe(true);

    const byUser = `${settings.prefix}.sales.by.user`;
    const own = new Map([["segment.ms", "600000"]]);
    await connection.alterTopic(byUser, own);
    const preview = await json(...forget, "--shared", "--dry-run");
    const inTopics = (all: readonly string[]): string[] => all.filter((one) => one.startsWith(settings.prefix));
    expect(inTopics(await found())).toEqual(inTopics(before));
    const places = new Map<string, { readonly count: number; readonly bytes: number | null }>();
    for (const { where, what, ...size } of preview["kafka"]["places"])
      places.set(`${where.replace(settings.prefix, "")}: ${what}`, size);
    // Ten events, one in the place of one of them, and its retraction in each of three partitions; a crash may have made some twice.
    const least = {
      "topic .sales.by.user: records": 14,
      "topic .sales.by.shop: records": 14,
      "topic .sales.ids: records": 11,
      "topic .sales.dead-letters: records": 1,
      "events/.sales.by.user: rows": 10,
      "events/.sales.by.shop: rows": 10,
      "monitor/quality: profiles": 1,
    };
    for (const [name, count] of Object.entries(least)) {
      expect(places.get(name)?.count, name).toBeGreaterThanOrEqual(count);
      expect(places.get(name)?.bytes, name).toBeGreaterThan(0);
    }
    expect(places.get("online store: states on sales")?.count).toBe(1);
    expect(places.get("online store: event ids of sales")?.count).toBe(10);
    expect(places.get("online store: shop entities to be folded anew")?.count).toBe(3);
    // The worker is killed meanwhile, and another takes its place.
    const forgetting = json(...forget, "--shared");
    await pause();
    await worker.kill("SIGKILL");
    worker = await sales.startWorker();
    const report = await forgetting;
    expect(report["kafka"]).toMatchObject({ sources: ["sales"], states: 1, ids: 10 });
    // A crash may have made it twice.
    expect(report["kafka"]["deadLetters"]).toBeGreaterThan(0);
    const names = ["cleanup.policy", "segment.ms", "min.cleanable.dirty.ratio", "delete.retention.ms"];
    expect(await connection.ownTopicSettings(byUser, names)).toEqual(own);
    expect(await connection.ownTopicSettings(`${settings.prefix}.sales.by.shop`, names)).toEqual(new Map());
    expect(await found()).toEqual([]);
    // In Redis her key alone, without a value, and for ten minutes.
    const keys = (await client.keys("*")).toSorted();
    for (const key of keys) {
      const type = await client.type(key);
      const values = type === "hash" ? await client.hgetallBuffer(key) : { value: await client.getBuffer(key) };
      for (const value of Object.values(values)) expect(secretsIn(value ?? Buffer.alloc(0)), key).toEqual([]);
      for (const name of Object.keys(values)) expect(secretsIn(Buffer.from(name)), key).toEqual([]);
      if (secretsIn(Buffer.from(key)).length === 0) continue;
      expect(await client.strlen(key), key).toBe(12);
      expect(await client.pttl(key)).toBeGreaterThan(0);
      expect(await client.pttl(key)).toBeLessThanOrEqual(600_000);
    }
    const vector = (user: string, shop: string) => sales.vector("model", { user, shop });
    expect(await vector(ADA, "s2")).toMatchObject({ spent: null, latest: null, sold: sold("s2"), noted: "plain" });
    for (const at of ["s0", "s1"]) expect(await vector("u2", at)).toMatchObject({ spent: spent("u2"), sold: sold(at) });

    // Training sees others as if she had never been, at any time; and the audit finds nothing wrong.
    const now = new Date().toISOString();
    writeFileSync(join(folder, "labels.csv"), `user,shop,t\n${ADA},s0,${now}\nu2,s1,${now}\n`);
    await json(
      "train",
      "--service",
      "model",
      "--labels",
      "labels.csv",
      "--allow-after-log",
      "--out",
      "set.csv",
      ...tables,
    );
    const [header, ...lines] = readFileSync(join(folder, "set.csv"), "utf8").trim().split("\n");
    const at = header!.split(",").indexOf("sold");
    expect(lines.map((line) => Number(line.split(",")[at]))).toEqual([sold("s0"), sold("s1")]);

    // What comes now begins anew, also under an id that she had.
    await sales.send([{ ...events[1], amount: 7, note: "new" }]);
    await seen(ADA, "s0", { spent: 7, latest: "new" });
    // A view that is keyed in a new way reads the topic again, from its first record: hers of before are not taken.
    expect(await worker.kill("SIGTERM")).toBe(0);
    sales.define(`export const note = entity("note", { note: t.string() });
export const notes = view("notes", { entity: note, source: sales, features: { written: count() } });
export const later = view("later", { entity: shop, source: sales, version: 2, features: { sales2: count() } });
export const added = service("added", { features: [notes, later] });
`);
    await json("apply", "--data", "data");
    worker = await sales.startWorker();
    const added = (note: string, shop: string) => sales.vector("added", { note, shop });
    const plain = events.filter(({ shop, user }) => shop === "s0" && user !== ADA).length;
    await expect
      .poll(() => added("plain", "s0"), { timeout: 120_000, interval: 500 })
      .toEqual({
        written: 30,
        sales2: plain,
      });
    expect(await added("new", "s1")).toMatchObject({ written: 1 });
    expect(await added("secret-note-1", "s1")).toMatchObject({ written: 0 });
    // Of hers there is what came since, and nothing else.
    const since = await found();
    expect(since.filter((one) => !one.includes(ADA) && !one.includes("secret-id-"))).toEqual([]);
    expect(await worker.kill("SIGTERM")).toBe(0);
    client.disconnect();
    await sales.close();
  });
});
