/** A query as a part of another, as the engine reads it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { subquery } from "../../../src/ingest/batch/query-text.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";

let engine: QueryEngine;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
});
afterAll(() => engine.close());

const valuesOf = async (query: string): Promise<unknown[]> =>
  (await engine.rows(`SELECT * FROM ${subquery(query)} q`)).map((row) => row["v"]);

describe("a query as a part of another", () => {
  it.each([
    ["SELECT 1 AS v", 1],
    ["SELECT 1 AS v;", 1],
    ["SELECT 1 AS v ; ;\n\t; ", 1],
    ["SELECT 1 AS v; -- all of it", 1],
    ["SELECT 1 AS v -- all; of it", 1],
    ["SELECT 1 AS v; -- all; of it\r\n-- and; more\n;", 1],
    ["-- first; of all\nSELECT 1 AS v; /* all; /* of; */ it */", 1],
    ["SELECT ';' AS v; -- it's", ";"],
    ["SELECT 'it''s; -- ' AS v;", "it's; -- "],
    ["SELECT E'it\\'s; ' AS v;--", "it's; "],
    ["SELECT E'it'\n  '\\'s; ' AS v;", "it's; "],
    ["SELECT e'it' -- it's\r\n\n -- ';\n\t'\\'s; '\n'\\'' AS v; -- '", "it's; '"],
    ["SELECT E'a'\n'' AS v, E'b' -- ';\n AS w; --", "a"],
    ["SELECT 'a\\'\n'b\\' AS v; -- '", "a\\b\\"],
    ["SELECT $$a;b$$ AS v;", "a;b"],
    ["SELECT $q$a;$$b$q$ AS v; --", "a;$$b"],
    ["SELECT $é$a;b$é$ AS v;", "a;b"],
    ['SELECT "a;""b" AS v FROM (SELECT 2 AS "a;""b"); -- "', 2],
    ["SELECT 6-- ;\n/2 AS v; -- six", 3],
  ])("%j gives its row", async (query, value) => {
    expect(await valuesOf(query)).toEqual([value]);
  });

  it("is left to the engine where a comment or a string has no end", async () => {
    for (const query of ["SELECT 1 AS v /* all; of it", "SELECT 'a; AS v", "SELECT $$a; AS v"]) {
      await expect(valuesOf(query)).rejects.toMatchObject({ message: expect.stringMatching(/unterminated|syntax/i) });
    }
  });

  it.each(["SELECT 1 AS v; SELECT 2", "SELECT 1;;/* */x", "SELECT ';'; -- one\nDROP TABLE t;", "; SELECT 1 AS v"])(
    "%j is refused: it is more than one statement",
    (query) => {
      expect(() => subquery(query)).toThrow("more than one statement");
    },
  );

  it("is read in a time that goes by its length", () => {
    const long = `SELECT '${"a''".repeat(100_000)}' AS v; ${"-- b\n".repeat(100_000)}`;
    expect(subquery(long)).toHaveLength(300_000 + "(SELECT '' AS v\n)".length);
    const continued = `SELECT E'a'${"\n -- '\n'\\''".repeat(50_000)}${" \n".repeat(100_000)}-${"-".repeat(100_000)}`;
    expect(subquery(continued)).toBe(`(${continued}\n)`);
  });
});
