/**
 * `onefold correct` and `retract` of events that come from Kafka: what is served, what training sees before and behind, what
 * `explain` and the audit say; and what is refused. Over a real Kafka and a real Redis.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import { KafkaSales, saleOf, untilSeen } from "./kafka-sales.ts";

const describeWithKafka = await describeWhere("kafka");
const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-corrections-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const EVENTS = 20;
const events = Array.from({ length: EVENTS }, (_, n) => saleOf(n));

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

describeWithKafka("onefold correct and retract of events from Kafka", () => {
  it("change what counts from then on, and nothing of what was known before", { timeout: 600_000 }, async () => {
    const sales = await KafkaSales.open(folder);
    const { settings, tables, there } = sales;
    const json = (...args: string[]) => sales.json(...args);
    const seen = (user: string, shop: string, wanted: Record<string, unknown>) =>
      untilSeen(sales, { user, shop }, wanted);
    await sales.send(events);
    await json("apply", "--data", "data");
    const worker = await sales.startWorker();
    // By user and by shop.
    await worker.until(({ archived }) => archived === 2 * EVENTS, 120_000);

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
    await sales.send([events[5]!]);
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
    const refused = (...args: string[]) => sales.refused(...args);
    expect(await refused("retract", "sales", "--id", "nobody", ...there)).toMatchObject({ code: "EVENT_UNKNOWN" });
    expect(await refused("correct", "sales", "--id", "e7", "--row", "{}", ...there)).toMatchObject({
      code: "NULL_NOT_ALLOWED",
    });
    expect(await refused("retract", "sales", "--id", "e7", "--data", "data")).toMatchObject({
      code: "REQUEST_INVALID",
    });
    // A view with a key of its own, and a name before all others: its table is not there yet, and the event is in others.
    sales.define(`export const sale = entity("sale", { id: t.string() });
export const amounts = view("amounts", { entity: sale, source: sales, features: { paid: last("amount") } });
`);
    await json("apply", "--data", "data");
    const later = await json("retract", "sales", "--id", "e7", ...there);
    expect(later["outcomes"]).toEqual([{ status: "retracted", id: "e7", partition: 1, events: 1 }]);
    writeFileSync(join(folder, "archive", "format.json"), '{"format": 1000, "onefold": "99.0.0"}');
    expect(await refused("retract", "sales", "--id", "e8", ...there)).toMatchObject({ code: "DATA_FOLDER_FORMAT" });
    expect(await worker.kill("SIGTERM")).toBe(0);
    await sales.close();
  });
});
