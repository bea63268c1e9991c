/** Label files that are not as they should be: each row of the table in docs/training.md, in its order. */
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import type { TrainingSet } from "../../src/training/training-set.ts";
import { definitions, flight } from "./flights.ts";
import { errorOf, rowsOf, TrainingWorld } from "./training-world.ts";

let world: TrainingWorld;
beforeAll(async () => {
  world = await TrainingWorld.open(definitions);
  await world.live("flights", [flight("A", "B", 1, 10), flight("A", "B", 60, 20), flight("A", "B", 600, 0)]);
});
afterAll(() => world.close());

const text = (...lines: string[]): Promise<string> => world.file("csv", ["origin,destination,t", ...lines].join("\n"));
const refused = async (labels: Promise<string>): Promise<OnefoldError> => errorOf(world.train(await labels));
const counts = (set: TrainingSet): unknown[] => rowsOf(set).map((row) => row[0]);
const first = (row: number): unknown => expect.stringContaining(`row ${row} is the first`);

/** The engine writes no such file: the name of one column is written over in the bytes. */
async function repeatedInParquet(first: string, second: string): Promise<string> {
  const path = await world.query(
    `SELECT 'A' AS origin, 'B' AS destination, '2026-03-01T00:30:00Z' AS t, 1 AS ${first}, 2 AS zzzz`,
  );
  const bytes = readFileSync(path).toString("latin1").replaceAll("zzzz", second);
  await writeFile(path, bytes, "latin1");
  return path;
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  "a null key": async () => {
    const error = await refused(text("A,B,2026-03-01T00:30:00Z", "A,,2026-03-01T00:30:00Z"));
    expect(error).toMatchObject({ code: "SPINE_INVALID", where: first(2) });
  },
  "a key of another type": async () => {
    const labels = world.query("SELECT 1.5 AS origin, 'B' AS destination, '2026-03-01T00:30:00Z' AS t");
    expect(await refused(labels)).toMatchObject({ code: "SPINE_INVALID", message: expect.stringContaining("origin") });
  },
  "a null or unparsable time": async () => {
    const error = await refused(text("A,B,2026-03-01T00:30:00Z", "A,B,", "A,B,soon", "A,B,2026-02-30"));
    expect(error).toMatchObject({ code: "SPINE_INVALID", where: first(2) });
    expect(error.message).toContain("null (1) or not a time (its type is VARCHAR) (2)");
    // a year of two digits is none of the first century
    for (const time of ["01/02/26", "26-01-02", "epoch", "infinity"])
      expect(await refused(text(`A,B,${time}`))).toMatchObject({ code: "SPINE_INVALID", where: first(1) });
  },
  "a number as time": async () => {
    const labels = world.query("SELECT 'A' AS origin, 'B' AS destination, 1772323200 AS t");
    expect(await refused(labels)).toMatchObject({ code: "SPINE_INVALID", message: expect.stringContaining("INTEGER") });
  },
  "times in several zones": async () => {
    const same = [
      "2026-03-01T01:05:00+01:00",
      "2026-03-01T00:05:00Z",
      "2026-02-28T19:05:00-05:00",
      "2026-03-01 00:05:00",
    ];
    const before = "2026-03-01T01:00:30+01:00";
    const set = await world.train(await text(...[...same, before].map((time) => `A,B,${time}`)));
    expect(counts(set)).toEqual([1, 1, 1, 1, 0]);
  },
  "duplicate rows": async () => {
    const row = "A,B,2026-03-01T00:30:00Z";
    expect(counts(await world.train(await text(row, "X,B,2026-03-01T00:30:00Z", row, row)))).toEqual([1, 0, 1, 1]);
  },
  "unknown columns": async () => {
    const out = world.path("unknown.csv");
    const labels = await world.file("csv", 'fare,origin,t,destination,Note\n1.50,A,2026-03-01T00:30:00Z,B,"a,b"\n');
    await world.train(labels, { out });
    expect((await readFile(out, "utf8")).split("\n")[0]).toMatch(/^fare,origin,t,destination,Note,flights_1h/);
    expect((await readFile(out, "utf8")).split("\n")[1]).toMatch(/^1.5,A,[^,]*,B,"a,b",1,/);
  },
  "a missing column": async () => {
    const labels = world.file("csv", "origin,t\nA,2026-03-01T00:30:00Z\n");
    expect(await refused(labels)).toMatchObject({ code: "SPINE_INVALID", candidates: ["origin", "t"] });
  },
  "two columns of one name": async () => {
    const files = [
      world.file("csv", "origin,destination,t,fare,fare\nA,B,2026-03-01T00:30:00Z,1,2\n"),
      world.file("ndjson", '{"origin":"A","destination":"B","t":"2026-03-01T00:30:00Z","fare":1,"fare":2}\n'),
      world.file("csv", "origin,Fare,t,destination,fare\nA,1,2026-03-01T00:30:00Z,B,2\n"),
      world.file("ndjson", '{"origin":"A","Fare":1,"destination":"B","t":"2026-03-01T00:30:00Z","fare":2}\n'),
      repeatedInParquet("fare", "fare"),
      repeatedInParquet("Fare", "fare"),
    ];
    for (const labels of files) {
      expect(await refused(labels)).toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringMatching(/two columns named fare|columns named Fare and fare/),
        where: expect.stringContaining(await labels),
      });
    }
    // Those of structs and lists are names of their own, and a column without a name is no other's.
    const nested = "SELECT 'A' AS origin, 'B' AS destination, '2026-03-01T00:30:00Z' AS t";
    const structs = world.query(`${nested}, {'t': 1, 'u': [{'t': 2}]} AS a, {'t': 1} AS b`);
    expect(counts(await world.train(await structs))).toEqual([1]);
    const numbered = '{"origin":"A","destination":"B","t":"2026-03-01T00:30:00Z","fare":1,"fare_1":2}';
    expect(counts(await world.train(await world.file("ndjson", numbered)))).toEqual([1]);
    const unnamed = world.file("csv", ",origin,destination,t,\n0,A,B,2026-03-01T00:30:00Z,1\n");
    expect(counts(await world.train(await unnamed))).toEqual([1]);
    const twice = {
      labels: { path: await text("A,B,2026-03-01T00:30:00Z"), keyColumns: { route: ["origin", "origin"] } },
    };
    expect(await errorOf(world.train(twice.labels.path, twice))).toMatchObject({
      code: "SPINE_INVALID",
      message: expect.stringContaining("origin is named twice"),
    });
  },
  "a file with a header alone": async () => {
    expect((await world.train(await text())).rowCount).toBe(0);
  },
  "a file without a byte": async () => {
    for (const ending of ["csv", "ndjson", "parquet"]) {
      const { code } = await refused(world.file(ending, ""));
      expect([ending, ["FILE_UNREADABLE", "SPINE_INVALID"].includes(code)]).toEqual([ending, true]);
    }
  },
  "truncated Parquet": async () => {
    const whole = await world.query(
      "SELECT 'A' AS origin, 'B' AS destination, '2026-03-01T00:30:00Z' AS t, i FROM range(5000) r(i)",
    );
    expect((await world.train(whole)).rowCount).toBe(5000);
    const bytes = readFileSync(whole);
    for (const length of [3, 100, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const path = world.path(`cut-${length}.parquet`);
      await writeFile(path, bytes.subarray(0, length));
      expect([length, (await errorOf(world.train(path))).code]).toEqual([length, "FILE_UNREADABLE"]);
    }
  },
  "a broken row of CSV or NDJSON": async () => {
    expect(await refused(text("A,B,2026-03-01T00:30:00Z", "A,B"))).toMatchObject({
      code: "FILE_UNREADABLE",
      message: expect.stringContaining("line 3"),
    });
    const line = '{"origin": "A", "destination": "B", "t": "2026-03-01T00:30:00Z"}';
    expect(await refused(world.file("ndjson", [line, '{"origin": "A"'].join("\n")))).toMatchObject({
      code: "FILE_UNREADABLE",
      message: expect.stringContaining("line 2"),
    });
  },
  "a label after the end of the log": async () => {
    expect(await refused(text("A,B,2026-03-02T00:00:00Z"))).toMatchObject({ code: "SPINE_AFTER_LOG" });
  },
  "a label at the very time of an event": async () => {
    expect(await refused(text("A,B,2026-03-01T00:01:00Z"))).toMatchObject({ code: "SPINE_AMBIGUOUS_TIME" });
  },
};

describe("bad label rows", () => {
  it.each(Object.entries(CASES))("%s is refused or has the result that is documented", (_, check) => check());

  it("are the rows of the table in docs/training.md", () => {
    const page = readFileSync(new URL("../../docs/training.md", import.meta.url), "utf8");
    const table = page.split("## Bad label rows")[1]!.split("\n## ")[0]!;
    const rows = [...table.matchAll(/^\| (.+?) \| .+ \|$/gm)].map((match) => match[1]!);
    expect(rows.slice(1)).toEqual(Object.keys(CASES));
  });
});
