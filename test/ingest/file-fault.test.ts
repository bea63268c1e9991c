/** The line at which a file is broken, found as a person would. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findCsvFault, findJsonFault } from "../../src/ingest/file-fault.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-file-fault-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(...lines: readonly string[]): string {
  const file = join(folder, "rows");
  writeFileSync(file, lines.join("\n"));
  return file;
}

function faultLine(find: (path: string) => Promise<number | null>, ...lines: string[]): Promise<number | null> {
  return find(write(...lines));
}

describe("a broken file names its line", () => {
  it.each([
    ["none", ['{"a": 1}', "", '{"a": 2}'], null],
    ["a brace that is not closed", ['{"a": 1}', "", '{"a": 2', '{"a": 3}'], 3],
    ["text", ['{"a": 1}', "hello"], 2],
    ["an array", ["[1]"], 1],
  ])("NDJSON: %s", async (_what, lines, line) => {
    expect(await faultLine(findJsonFault, ...lines)).toBe(line);
  });

  it.each([
    ["none", ["a,b", "1,2", "", '"x,y","line', 'two"', '"a ""quoted"" word",2'], null],
    ["a field too many", ["a,b", "1,2", "1,2,3"], 3],
    ["a field too few, behind one over two lines", ["a,b", '"1', '1",2', "1"], 4],
    ["a quote that is not closed", ["a,b", "1,2", '"1,2', "3,4"], 3],
  ])("CSV: %s", async (_what, lines, line) => {
    expect(await faultLine(findCsvFault, ...lines)).toBe(line);
  });
});
