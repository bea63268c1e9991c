/** What the command line can ask of training, asked over HTTP: several services, entities at ticks, parts by time. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parseMicros } from "../../../src/base/micros.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { sqlText } from "../../../src/offline-store/engine.ts";
import type { TrainOptions } from "../../../src/platform/platform-options.ts";
import type { TrainingManifest } from "../../../src/training/manifest.ts";
import { type Answer, JobsWorld, LABELS } from "./jobs-world.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let world: JobsWorld;
let files = 0;
beforeAll(async () => {
  world = await JobsWorld.open({ atOnce: 2 });
});
afterAll(() => world.close());

async function rowsIn(file: string): Promise<unknown[]> {
  const engine = await openDuckDb({ threads: 1 });
  try {
    return await engine.rows(`SELECT * FROM read_parquet(${sqlText(file)})`);
  } finally {
    await engine.close();
  }
}

/** A file of the set that was asked for, once it is done, and its manifest. */
async function made({ status, body }: Answer): Promise<{ rows: unknown[]; manifest: TrainingManifest }> {
  expect([status, body["error"]]).toEqual([202, null]);
  const id = body["id"] as string;
  expect(await world.ended(id)).toMatchObject({ state: "done", error: null });
  const file = join(world.folder, `${files++}.parquet`);
  writeFileSync(file, await world.download(id, "parquet"));
  const manifest = JSON.parse(Buffer.from(await world.download(id, "manifest")).toString()) as TrainingManifest;
  return { rows: await rowsIn(file), manifest };
}

/** The same by the platform itself. */
async function expected(options: TrainOptions): Promise<unknown[]> {
  const out = join(world.folder, `${files++}.parquet`);
  await world.platform.train({ ...options, out });
  return rowsIn(out);
}

const post = (body: object): Promise<Answer> => world.ask("POST", "/training-sets", body);
const upload = (query: string, text: string): Promise<Answer> =>
  world.ask("POST", `/training-sets?${query}`, text, "text/csv");

describe("a training set over HTTP", () => {
  it("has the features of several services, named in a body or in a query", async () => {
    const labels = join(world.folder, "labels.csv");
    writeFileSync(labels, LABELS);
    const service = ["fraud", "churn"];
    const wanted = await expected({ service, labels, boundary: "inclusive" });
    expect(Object.keys(wanted[0] as object).join(" ")).toBe(
      "user_id t is_fraud fraud__payments_1h fraud__amount last_items last_paid amounts churn__payments_1h churn__amount smallest",
    );
    const rows = LABELS.trim()
      .split("\n")
      .slice(1)
      .map((line) => line.split(","))
      .map(([user_id, t, is_fraud]) => ({ user_id, t, is_fraud: Number(is_fraud) }));
    const inBody = await made(await post({ service, boundary: "inclusive", labels: { rows } }));
    expect(inBody.rows.map(withoutTime)).toEqual(wanted.map(withoutTime));
    expect(inBody.manifest.views.map(({ name, eventsFolded }) => [name, eventsFolded])).toEqual([
      ["spending", 10],
      ["sums", 10],
    ]);
    const inQuery = await made(await upload("service=fraud,churn&boundary=inclusive", LABELS));
    expect(inQuery.rows.map(withoutTime)).toEqual(wanted.map(withoutTime));
    expect(inQuery.manifest.features.map(({ service: of }) => of).join(" ")).toBe(
      "fraud fraud fraud fraud fraud churn churn churn",
    );
  });

  it("is of every entity at every tick, or of those that are sent, parted by time", async () => {
    const [from, to] = ["2026-03-01T11:00:00Z", "2026-03-01T11:50:00Z"];
    const ticks = { every: "10m", from: parseMicros(from), to: parseMicros(to), service: "fraud" };
    const all = await made(
      await post({ service: "fraud", every: "10m", from, to, split: [0.5, 0.5], labels: { entities: "all" } }),
    );
    expect(all.rows).toEqual(await expected({ ...ticks, entities: "all", timeSplit: { shares: [0.5, 0.5] } }));
    expect(all.rows.length).toBe(10);
    expect(all.manifest.spine.generated).toMatchObject({ everyMicros: 600_000_000, entities: "all" });
    expect(all.manifest.splits).toMatchObject([{ name: "train" }, { name: "test" }]);

    const entities = "user_id,city\nada,Oslo\neve,Bonn\n";
    const file = join(world.folder, "entities.csv");
    writeFileSync(file, entities);
    const cuts = [parseMicros("2026-03-01T11:20:00Z")];
    const wanted = await expected({ ...ticks, entities: file, timeSplit: { cuts } });
    const query = `service=fraud&every=10m&from=${from}&to=${to}&split=2026-03-01T11:20:00Z`;
    const sent = await made(await upload(query, entities));
    expect(sent.rows).toEqual(wanted);
    expect(sent.rows.length).toBe(12);
  });

  it("sees what is known in the end, and nothing past a view's ttl, as asked", async () => {
    const labels = { rows: [{ user_id: "ada", t: "2026-03-01T11:59:00Z" }] };
    const { rows } = await made(await post({ service: "brief", knowledge: "final", statuses: true, labels }));
    expect(rows).toMatchObject([{ recent: null, recent__status: "OUTSIDE_MAX_AGE" }]);
  });

  it("comes with a report of what leaking would have cost, where that is asked for", async () => {
    const labels = join(world.folder, "leakage.csv");
    writeFileSync(labels, LABELS);
    const late = { user_id: "eve", paid_at: "2026-03-01T11:10:00Z", amount: 7.5, items: 1 };
    await world.platform.push("payments", [late]);
    const asked = { service: ["fraud", "churn"], boundary: "inclusive" } as const;
    const { out: _, manifest: __, ...report } = await world.platform.explainLeakage({ ...asked, labels });
    expect(report.rowsChanged).toBe(2);
    const set = await upload("service=fraud,churn&boundary=inclusive&explain_leakage=true", LABELS);
    const { rows } = await made(set);
    expect(rows).toEqual(await expected({ ...asked, labels }));
    const id = set.body["id"] as string;
    expect(JSON.parse(Buffer.from(await world.download(id, "leakage")).toString())).toEqual(report);
    const plain = await upload("service=fraud&boundary=inclusive", LABELS);
    await made(plain);
    const none = await world.ask("GET", `/training-sets/${plain.body["id"]}/download?format=leakage`);
    expect([none.status, none.body["error"].code]).toEqual([400, "REQUEST_INVALID"]);
    const body = { service: "fraud", labels: { rows: [] }, explain_leakage: true, knowledge: "final" };
    expect((await post(body)).body["error"]).toMatchObject({ code: "REQUEST_INVALID" });
  });

  it("is refused at once where what is asked for cannot be", async () => {
    const labels = { entities: "all" } as const;
    const refused = async (body: object): Promise<unknown[]> => {
      const answer = await post({ service: "fraud", labels, ...body });
      return [answer.status, answer.body["error"].code];
    };
    expect(await refused({})).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ every: "often" })).toEqual([400, "DURATION_INVALID"]);
    expect(await refused({ every: "1h", from: "soon" })).toEqual([400, "TIME_INVALID"]);
    expect(await refused({ every: "1h", split: ["soon"] })).toEqual([400, "TIME_INVALID"]);
    expect(await refused({ every: "1h", split: [0.5, 0.6] })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ every: "1h", split: ["2026-03-02", "2026-03-01"] })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ every: "1h", time_column: "t" })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ every: "1h", service: ["fraud", "fraud"] })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ every: "1h", service: ["fraud", "frod"] })).toEqual([404, "SERVICE_UNKNOWN"]);
    expect(await refused({ from: "2026-03-01", labels: { rows: [] } })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ labels: { entities: "all", rows: [] }, every: "1h" })).toEqual([400, "REQUEST_INVALID"]);
    const query = await upload("service=fraud&fit=newest", LABELS);
    expect([query.status, query.body["error"].code]).toEqual([400, "REQUEST_INVALID"]);
    // What shows only in the rows, the job says.
    const { body } = await post({ service: "fraud", every: "1h", from: "2026-03-02", to: "2026-03-01", labels });
    expect(await world.ended(body["id"])).toMatchObject({ state: "failed", error: { code: "REQUEST_INVALID" } });
    expect((await world.ask("GET", "/training-sets")).body["training_sets"]).toHaveLength(8);
  });
});

/** Rows in JSON have their times as text. */
function withoutTime(row: unknown): object {
  const { t: _, ...others } = row as Record<string, unknown>;
  return others;
}
