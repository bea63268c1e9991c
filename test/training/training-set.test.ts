/**
 * Training sets from a real archive: what the rows are, how label files are read, what is written and what is refused.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Value } from "../../src/schema/value.ts";
import { encodeVectorToken } from "../../src/schema/vector-token.ts";

import type { TrainRequest } from "../../src/training/training-set.ts";
import { definitions, flight } from "./flights.ts";
import { errorOf, minute, rowsOf, START, TrainingWorld } from "./training-world.ts";

const HISTORY_BASE = -(2 ** 52);

describe("a training set", () => {
  let world: TrainingWorld;

  beforeAll(async () => {
    world = await TrainingWorld.open(definitions);
    await world.history("flights", [
      flight("SEA", "a|b", 1, 10, {
        seats: 100,
        plane: "N1",
        cancelled: false,
        due: minute(200),
        stops: ["x", null, "y,z"],
        ticket: "9223372036854775807",
      }),
      flight("SEA", "SFO", 2, 20.25, {
        seats: 2 ** 52,
        plane: 'quo"te,\nline',
        cancelled: true,
        due: minute(0.5),
        stops: [],
      }),
      flight("007", "SFO", 3, -5, { plane: "", seal: Uint8Array.of(0, 255, 44) }),
    ]);
    await world.live("flights", [
      flight("SEA", "SFO", 10, 0.1),
      flight("SEA", "SFO", 20, 16, { seats: 1, happenedAt: 9 }),
      flight("SEA", "a|b", 30, null),
      flight("SEA", "SFO", 90, 1),
    ]);
  });
  afterAll(() => world.close());

  /** Two rows of one route, one of an unseen entity, a key with a separator in it, one that looks like a number. */
  const LABELS = [
    ["SEA", "SFO", "2026-03-01T00:19:59.999999Z", 1],
    ["SEA", "SFO", "2026-03-01T00:02:30Z", 2],
    ["NYC", "SFO", "2026-03-01T00:15:00Z", 3],
    ["SEA", "a|b", "2026-03-01T00:25:00.5Z", 4],
    ["007", "SFO", "2026-03-01T01:00:00Z", 5],
    ["SEA", "SFO", "2026-03-01T00:02:30Z", 6],
    ["SEA", "SFO", "2026-03-01T00:21:00+00:00", 7],
  ] as const;

  const csvLabels = (): Promise<string> =>
    world.file("csv", `origin,destination,event_timestamp,label\n${LABELS.map((row) => row.join(",")).join("\n")}\n`);

  const WANTED = ["flights_1h", "late", "delay_sum", "delay_min", "plane", "mean_delay"];
  const pick = (names: readonly string[], all: readonly string[], rows: readonly (readonly Value[])[]): Value[][] =>
    rows.map((row) => names.map((name) => row[all.indexOf(name)]!));

  it("point-in-time correctness: every label sees what was known at its time, once, in input order, duplicates kept", async () => {
    const set = await world.train(await csvLabels());
    const names = set.columns.map((column) => column.name);
    expect(pick(WANTED, names, rowsOf(set))).toEqual([
      [2, 1, 20.35, 0.1, 'quo"te,\nline', (10 + 20.25 + 0.1) / 3],
      [1, 1, 20.25, 20.25, 'quo"te,\nline', (10 + 20.25) / 2],
      [0, 0, null, -1, null, null],
      [1, 0, 10, 10, "N1", (10 + 20.25 + 0.1 + 16) / 4],
      [1, 0, -5, -1, "", -5],
      [1, 1, 20.25, 20.25, 'quo"te,\nline', (10 + 20.25) / 2],
      [3, 2, 36.35, 0.1, 'quo"te,\nline', (10 + 20.25 + 0.1 + 16) / 4],
    ]);
    expect(set.columns[0]!.countStatuses()).toMatchObject({ PRESENT: 6, NOT_FOUND: 1 });
  });

  it("point-in-time correctness: final counts an event from when it happened, though it was known later", async () => {
    const labels = await world.file("csv", "origin,destination,t\nSEA,SFO,2026-03-01T00:09:30Z\n");
    const asKnown = await world.train(labels);
    const final = await world.train(labels, { knowledge: "final" });
    const names = asKnown.columns.map((column) => column.name);
    expect(pick(["flights_1h", "delay_sum"], names, rowsOf(asKnown))).toEqual([[1, 20.25]]);
    expect(pick(["flights_1h", "delay_sum"], names, rowsOf(final))).toEqual([[2, 36.25]]);
    expect(final.manifest.knowledge).toBe("final");
  });

  it("is the same from Parquet, CSV and NDJSON, whatever the type of time", async () => {
    const expected = rowsOf(await world.train(await csvLabels()));
    const lines = LABELS.map(([origin, destination, time, label]) =>
      JSON.stringify({ label, time, destination, origin }),
    );
    const ndjson = await world.file("ndjson", `${lines.join("\n")}\n`);
    expect(rowsOf(await world.train(ndjson, { labels: { path: ndjson, timeColumn: "time" } }))).toEqual(expected);
    const values = LABELS.map(
      (row) => `(${row.map((cell) => (typeof cell === "number" ? cell : `'${cell}'`)).join(", ")})`,
    );
    const from = `(VALUES ${values.join(", ")}) l(origin, destination, t, label)`;
    for (const time of [
      "t::TIMESTAMPTZ",
      "t::TIMESTAMPTZ::TIMESTAMP",
      "t::TIMESTAMPTZ::TIMESTAMP::TIMESTAMP_NS",
      "t",
    ]) {
      const parquet = await world.query(
        `SELECT label, origin AS "from", destination AS "to", ${time} AS timestamp FROM ${from}`,
      );
      const keyColumns = { route: ["from", "to"], airport: ["from"] };
      expect(rowsOf(await world.train(parquet, { labels: { path: parquet, keyColumns } }))).toEqual(expected);
    }
  });

  it("comes back from Parquet bit for bit, the label columns first", async () => {
    const out = world.path("set.parquet");
    const set = await world.train(await csvLabels(), { out, withStatuses: true });
    const names = set.columns.map((column) => column.name);
    const rows = await world.engine.rows(`SELECT * FROM '${out}'`);
    expect(Object.keys(rows[0]!)).toEqual([
      "origin",
      "destination",
      "event_timestamp",
      "label",
      ...names,
      ...names.map((name) => `${name}__status`),
    ]);
    expect(rows.map((row) => row["label"])).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(rows.map((row) => names.map((name) => row[name]))).toEqual(rowsOf(set));
    expect(rows[3]).toMatchObject({ due: minute(200), stops: ["x", null, "y,z"], cancelled: false, seats: 100 });
    expect(rows[3]!["ticket"]).toBe("9223372036854775807");
    expect(rows[4]!["seal"]).toEqual(Uint8Array.of(0, 255, 44));
    expect(rows[1]!["seats"]).toBe(2 ** 52);
    expect(rows.map((row) => row["delay_min__status"])).toEqual([
      "PRESENT",
      "PRESENT",
      "NOT_FOUND",
      "PRESENT",
      "NULL_VALUE",
      "PRESENT",
      "PRESENT",
    ]);
    const types = await world.engine.rows(`DESCRIBE SELECT * FROM '${out}'`);
    expect(Object.fromEntries(types.map((row) => [row["column_name"], row["column_type"]]))).toMatchObject({
      flights_1h: "BIGINT",
      delay_sum: "DOUBLE",
      plane: "VARCHAR",
      cancelled: "BOOLEAN",
      stops: "VARCHAR[]",
      due: "TIMESTAMP WITH TIME ZONE",
      ticket: "BIGINT",
      seal: "BLOB",
    });
  });

  it("comes back from CSV, nulls, commas, quotes and line breaks included", async () => {
    const out = world.path("set.csv");
    const set = await world.train(await csvLabels(), { out });
    const names = set.columns.map((column) => column.name).filter((name) => name !== "seal");
    const types = `{due: 'TIMESTAMPTZ', stops: 'JSON', cancelled: 'BOOLEAN', plane: 'VARCHAR', ticket: 'BIGINT'}`;
    const rows = await world.engine.rows(
      `SELECT * FROM read_csv('${out}', header = true, allow_quoted_nulls = false, types = ${types})`,
    );
    const seal = set.columns.findIndex((column) => column.name === "seal");
    const cellOf = (name: string, cell: Value): unknown => (name === "stops" ? JSON.parse(cell as string) : cell);
    expect(rows.map((row) => names.map((name) => cellOf(name, row[name]!)))).toEqual(
      rowsOf(set).map((row) => row.filter((_, i) => i !== seal)),
    );
  });

  it("carries a manifest that says what it was made from", async () => {
    world.clock.advanceTo(minute(1000));
    const labels = await csvLabels();
    const out = world.path("told.parquet");
    const set = await world.train(labels, { out, boundary: "exclusive" });
    const manifest = JSON.parse(await readFile(`${out}.manifest.json`, "utf8")) as typeof set.manifest;
    expect(manifest).toEqual(set.manifest);
    const sha256 = async (path: string): Promise<string> =>
      createHash("sha256")
        .update(await readFile(path))
        .digest("hex");
    expect(manifest).toMatchObject({
      manifest: 2,
      created: "2026-03-01T16:40:00Z",
      services: [
        {
          name: "model",
          fingerprint: world.registry.service("model").fingerprint,
          fit: null,
          fits: [],
          tokenColumn: null,
        },
      ],
      knowledge: "as-known",
      boundary: "exclusive",
      sources: [
        { name: "flights", epoch: 0, historyEnd: HISTORY_BASE + 3, liveEnd: 4, logEnd: "2026-03-01T01:30:00Z" },
      ],
      spine: {
        path: labels,
        sha256: await sha256(labels),
        rows: 7,
        timeColumn: "event_timestamp",
        keyColumns: { route: ["origin", "destination"], airport: ["origin"] },
        rowsAfterLog: 0,
      },
      output: { path: out, format: "parquet", rows: 7, sha256: await sha256(out) },
    });
    expect(
      manifest.views.map(({ name, version, entity, source, epochs }) => ({ name, version, entity, source, epochs })),
    ).toEqual([
      { name: "route_flights", version: 1, entity: "route", source: "flights", epochs: [0] },
      { name: "airport_flights", version: 1, entity: "airport", source: "flights", epochs: [0] },
    ]);
    expect(manifest.views[0]!.fingerprint).toBe(world.registry.view("route_flights", 1).fingerprint);
    expect(manifest.features.map(({ name }) => name)).toEqual(set.columns.map(({ name }) => name));
    expect(manifest.features.find(({ name }) => name === "stops")).toMatchObject({
      type: "array<string>",
      view: "route_flights@1",
    });
  });

  it("of no labels at all has no rows, and all its columns", async () => {
    const labels = await world.file("csv", "origin,destination,t\n");
    const out = world.path("empty.parquet");
    const set = await world.train(labels, { out });
    expect(set.rowCount).toBe(0);
    const types = await world.engine.rows(`DESCRIBE SELECT * FROM '${out}'`);
    expect(types.map((row) => row["column_name"])).toEqual([
      "origin",
      "destination",
      "t",
      ...set.columns.map(({ name }) => name),
    ]);
  });

  it("is made for a view whose key is a derived column", async () => {
    const labels = await world.file(
      "csv",
      "carrier,t\nn1,2026-03-01T00:05:00Z\nN1,2026-03-01T00:05:00Z\nn1,2026-03-01T00:00:59Z\n",
    );
    const set = await world.train(labels, { service: "carrier_model" });
    expect(rowsOf(set)).toEqual([
      [1, 10, 0],
      [0, null, 0],
      [0, null, 0],
    ]);
    const final = await world.train(labels, { service: "carrier_model", knowledge: "final" });
    expect(rowsOf(final)).toEqual(rowsOf(set));
  });

  it("keeps tens of thousands of rows in input order", { timeout: 240_000 }, async () => {
    const labels = await world.query(
      `SELECT i AS label, CASE WHEN i % 3 = 0 THEN 'SEA' ELSE '007' END AS origin, 'SFO' AS destination,
         make_timestamptz(${START} + (i * 7919 % 80000) * 60000 + 1) AS t FROM range(300000) r(i)`,
    );
    const out = world.path("many.parquet");
    await world.train(labels, { out });
    const [row] = await world.engine.rows(
      `SELECT count(*) AS n, count(*) FILTER (WHERE label = place) AS inOrder, count(*) FILTER (WHERE flights_1h = expected) AS good
       FROM (SELECT label, row_number() OVER () - 1 AS place, flights_1h, (label * 7919 % 80000) / 1000.0 AS m,
         CASE WHEN origin = '007' THEN (3 <= m AND m < 63)::INT
           ELSE (2 <= m AND m < 62)::INT + (10 <= m AND m < 70)::INT + (20 <= m AND m < 69)::INT END AS expected FROM '${out}')`,
    );
    expect(row).toEqual({ n: 300_000, inOrder: 300_000, good: 300_000 });
  });

  describe("is refused", () => {
    async function refused(
      ending: string,
      text: string,
      request: Partial<TrainRequest> = {},
    ): Promise<ReturnType<typeof errorOf>> {
      const labels = await world.file(ending, text);
      const out = world.path("refused.parquet");
      await writeFile(out, "what was there before");
      const before = await world.files();
      const error = await errorOf(world.train(labels, { out, ...request }));
      expect(await world.files()).toEqual(before);
      expect(await readFile(out, "utf8")).toBe("what was there before");
      return error;
    }
    const rows = (...lines: string[]): string => ["origin,destination,t", ...lines].join("\n");

    it("where labels coincide with events of their entity, saying how many", async () => {
      const text = rows(
        "SEA,SFO,2026-03-01T00:10:00Z",
        "SEA,SFO,2026-03-01T00:20:00Z",
        "SEA,SFO,2026-03-01T00:09:00Z",
        "NYC,SFO,2026-03-01T00:10:00Z",
      );
      const error = await refused("csv", text);
      expect(error).toMatchObject({ code: "SPINE_AMBIGUOUS_TIME", where: "view route_flights@1" });
      expect(error.message).toContain("2 of 4");
      const labels = await world.file("csv", text);
      const inclusive = await world.train(labels, { boundary: "inclusive" });
      const exclusive = await world.train(labels, { boundary: "exclusive" });
      expect(rowsOf(inclusive).map((row) => row[0])).toEqual([2, 3, 1, 0]);
      expect(rowsOf(exclusive).map((row) => row[0])).toEqual([1, 2, 1, 0]);
      const final = await refused("csv", text, { knowledge: "final" });
      expect(final).toMatchObject({ code: "SPINE_AMBIGUOUS_TIME" });
      expect(final.message).toContain("2 of 4");
    });

    it("without a key column, a time column or a name that is there", async () => {
      expect(await refused("csv", "origin,t\nSEA,2026-03-01\n")).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("destination") as string,
        candidates: ["origin", "t"],
      });
      const untimed = await refused("csv", "origin,destination,day\nSEA,SFO,2026-03-01\n");
      expect(untimed).toMatchObject({ code: "SPINE_INVALID" });
      expect(untimed.message).toContain("event_timestamp, timestamp, label_time, t");
      const labels = { path: await world.file("csv", rows("SEA,SFO,2026-03-01")), timeColumn: "when" };
      expect(await errorOf(world.train(labels.path, { labels }))).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("when") as string,
      });
      expect(await refused("csv", rows("SEA,SFO,2026-03-01"), { knowledge: "as-served" })).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("token") as string,
      });
    });

    it("with a null key, saying which row is the first and how many there are", async () => {
      const good = "SEA,SFO,2026-03-01T00:09:00Z";
      const error = await refused("csv", rows(good, good, "SEA,,2026-03-01", good, ",SFO,2026-03-01"));
      expect(error).toMatchObject({ code: "SPINE_INVALID", where: expect.stringContaining("row 3") as string });
      expect(error.message).toBe("origin, destination is null in 2 label rows");
      const ndjson = await refused(
        "ndjson",
        '{"origin":"SEA","t":"2026-03-01","destination":"SFO"}\n{"origin":"SEA","t":"2026-03-01"}\n',
      );
      expect(ndjson).toMatchObject({ code: "SPINE_INVALID", where: expect.stringContaining("row 2") as string });
    });

    it("with a time that cannot be read, also where the labels have columns named as the reader's own", async () => {
      const text =
        "row,origin,destination,t,row_of_file\n1,SEA,SFO,2026-03-01,a\n2,SEA,SFO,yesterday,b\n3,SEA,SFO,,c\n4,SEA,SFO,infinity,d\n";
      const error = await refused("csv", text);
      expect(error).toMatchObject({ code: "SPINE_INVALID", where: expect.stringContaining("row 2") as string });
      expect(error.message).toMatch(/^t is null \(1\) or not a time .* \(2\) in 3 label rows$/);
      const numbers = await world.query("SELECT 'SEA' AS origin, 'SFO' AS destination, 1772323200000 AS t");
      expect(await errorOf(world.train(numbers))).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("BIGINT") as string,
      });
    });

    it("with labels after the end of the log, unless they may be flagged", async () => {
      const text = rows(
        "SEA,SFO,2026-03-01T01:30:00.000001Z",
        "SEA,SFO,2026-03-01T01:29:00Z",
        "SEA,SFO,2026-03-02T00:00:00Z",
      );
      const error = await refused("csv", text);
      expect(error).toMatchObject({
        code: "SPINE_AFTER_LOG",
        where: expect.stringContaining("flights 2026-03-01T01:30:00Z") as string,
      });
      expect(error.message).toContain("2 of 3");
      const out = world.path("flagged.parquet");
      const set = await world.train(await world.file("csv", text), { out, allowAfterLog: true });
      expect(set.manifest.spine.rowsAfterLog).toBe(2);
      const flagged = await world.engine.rows(`SELECT after_log_end, delay_sum FROM '${out}'`);
      expect(flagged).toEqual([
        { after_log_end: true, delay_sum: 37.35 },
        { after_log_end: false, delay_sum: 36.35 },
        { after_log_end: true, delay_sum: 37.35 },
      ]);
      world.closedUpTo = minute(60 * 24);
      try {
        expect(rowsOf(await world.train(await world.file("csv", text)))).toHaveLength(3);
      } finally {
        world.closedUpTo = null;
      }
    });

    it("where the file cannot be read, or the set would be written over what it must not", async () => {
      expect(await errorOf(world.train(world.path("absent.csv")))).toMatchObject({ code: "FILE_UNREADABLE" });
      expect(await refused("xlsx", "?")).toMatchObject({ code: "FILE_UNREADABLE" });
      expect(await refused("parquet", "PAR1 but no more")).toMatchObject({ code: "FILE_UNREADABLE" });
      expect(await refused("ndjson", '{"origin": "SEA"')).toMatchObject({ code: "FILE_UNREADABLE" });
      for (const broken of ['{"origin": "LAX"', "origin,LAX", "[1]", '"text"']) {
        const good = '{"origin": "SEA", "destination": "SFO", "t": "2026-03-01T00:00:00Z"}';
        const error = await refused("ndjson", [good, "", good, broken, good, "{"].join("\n"));
        expect(error, broken).toMatchObject({
          code: "FILE_UNREADABLE",
          message: "line 4 is not a JSON object",
          where: expect.stringMatching(/\.ndjson:4$/) as string,
        });
      }
      const labels = await csvLabels();
      expect(await errorOf(world.train(labels, { out: labels }))).toMatchObject({ code: "REQUEST_INVALID" });
      const taken = world.path("folder.parquet");
      await mkdir(taken);
      expect(await errorOf(world.train(labels, { out: taken }))).toMatchObject({
        code: "REQUEST_INVALID",
        message: "the training set is a folder",
      });
      expect(await errorOf(world.train(labels, { out: world.path("no/such/folder.csv") }))).toMatchObject({
        code: "REQUEST_INVALID",
      });
      expect(await errorOf(world.train(labels, { out: world.path("set.xlsx") }))).toMatchObject({
        code: "REQUEST_INVALID",
      });
      expect(await refused("csv", "origin,destination,t,PLANE\nSEA,SFO,2026-03-01,x\n")).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("plane") as string,
      });
      expect(await errorOf(world.train(labels, { service: "modle" }))).toMatchObject({
        code: "SERVICE_UNKNOWN",
        candidates: ["model"],
      });
    });

    it("when it is cancelled, at whatever point", async () => {
      const before = await world.files();
      const labels = await csvLabels();
      for (const phase of ["labels", "events", "writing"]) {
        const controller = new AbortController();
        const out = world.path("cancelled.parquet");
        const onProgress: TrainRequest["onProgress"] = (progress) => {
          if (progress.phase === phase) controller.abort();
        };
        const error = await errorOf(world.train(labels, { out, onProgress, signal: controller.signal }));
        expect([phase, error.code]).toEqual([phase, "CANCELLED"]);
      }
      expect(await world.files()).toEqual([...before, basename(labels)].sort());
    });

    it("with a token that cannot be read, is missing, or names what is not there", async () => {
      const token = encodeVectorToken({
        asOf: minute(15),
        reads: ["route_flights@1", "airport_flights@1"].map((view) => ({ view, epoch: 0, lastOffset: 0 })),
      });
      const tokens = (...cells: string[]): string =>
        ["origin,destination,token", ...cells.map((cell) => `SEA,SFO,${cell}`)].join("\n");
      const served = { knowledge: "as-served" } as const;
      const unreadable = await refused("csv", tokens(token, "nonsense", token, "x"), served);
      expect(unreadable).toMatchObject({ code: "TOKEN_INVALID", where: expect.stringContaining("row 2") as string });
      expect(unreadable.message).toContain("in 2 label rows");
      expect(await refused("csv", tokens(token, ""), served)).toMatchObject({
        code: "SPINE_INVALID",
        where: expect.stringContaining("row 2") as string,
      });
      const other = encodeVectorToken({
        asOf: minute(15),
        reads: [{ view: "route_flights@1", epoch: 0, lastOffset: 0 }],
      });
      expect(await refused("csv", tokens(other), served)).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringContaining("airport_flights@1") as string,
      });
      const reads = (epoch: number, lastOffset: number): string =>
        encodeVectorToken({
          asOf: minute(15),
          reads: ["route_flights@1", "airport_flights@1"].map((view) => ({ view, epoch, lastOffset })),
        });
      expect(await refused("csv", tokens(token, reads(7, 0)), served)).toMatchObject({ code: "EPOCH_UNKNOWN" });
      expect(await refused("csv", tokens(token, reads(0, 4)), served)).toMatchObject({
        code: "SPINE_AFTER_LOG",
        message: expect.stringContaining("1 of 2") as string,
      });
    });
  });
});
