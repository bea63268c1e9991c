/** The line at which a file is broken, found as a person would. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findCsvFault, findJsonFault } from "../../src/offline-store/file-fault.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-file-fault-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(...lines: readonly string[]): string {
  const file = join(folder, "rows");
  writeFileSync(file, lines.join("\n"));
  return file;
}

describe("a broken file names its line", () => {
  it.each([
    ["none", ['{"a": 1}', "", '{"a": 2}'], null],
    ["a brace that is not closed", ['{"a": 1}', "", '{"a": 2', '{"a": 3}'], 3],
    ["text", ['{"a": 1}', "hello"], 2],
    ["an array", ["[1]"], 1],
  ])("NDJSON: %s", async (_what, lines, line) => {
    expect(await findJsonFault(write(...lines))).toBe(line);
  });

  it.each([
    ["none", ["a,b", "1,2", "", '"x,y","line', 'two"', '"a ""quoted"" word",2'], null],
    ["a field too many", ["a,b", "1,2", "1,2,3"], { line: 3, isOpenQuote: false }],
    ["a field too few, behind one over two lines", ["a,b", '"1', '1",2', "1"], { line: 4, isOpenQuote: false }],
    ["a quote that is not closed", ["a,b", "1,2", '"1,2', "3,4"], { line: 3, isOpenQuote: true }],
  ])("CSV: %s", async (_what, lines, fault) => {
    expect(await findCsvFault(write(...lines))).toEqual(fault);
  });
});
