import { describe, expect, it } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";
import { filesWithin } from "../../src/offline-store/file-pruning.ts";
import type { TableFile } from "../../src/offline-store/offline-store.ts";

function file(path: string, min?: unknown, max?: unknown): TableFile {
  const stats = min === undefined ? {} : { stats: { minValues: { c: min }, maxValues: { c: max } } };
  return { path, bytes: 1, rows: 1, tags: {}, ...stats };
}

const pathsOf = (files: readonly TableFile[]): string[] => files.map(({ path }) => path);

describe("files that cannot hold a wanted row", () => {
  it("are left out by the bounds of a number, to the last one", () => {
    const files = [file("a", -4, -1), file("b", 0, 9), file("c", 10, 20)];
    expect(pathsOf(filesWithin(files, "c", { from: 0 }))).toEqual(["b", "c"]);
    expect(pathsOf(filesWithin(files, "c", { from: 9 }))).toEqual(["b", "c"]);
    expect(pathsOf(filesWithin(files, "c", { from: 10 }))).toEqual(["c"]);
    expect(pathsOf(filesWithin(files, "c", { before: 0 }))).toEqual(["a"]);
    expect(pathsOf(filesWithin(files, "c", { before: 1 }))).toEqual(["a", "b"]);
    expect(pathsOf(filesWithin(files, "c", { from: -2, before: 10 }))).toEqual(["a", "b"]);
  });

  it("are left out by the bounds of a time", () => {
    const files = [file("a", "2001-01-01T00:00:00.000000Z", "2001-01-02T00:00:00.000001Z")];
    const end = parseMicros("2001-01-02T00:00:00.000001Z");
    expect(filesWithin(files, "c", { from: end })).toHaveLength(1);
    expect(filesWithin(files, "c", { from: end + 1 })).toHaveLength(0);
  });

  it("are never those of which nothing is known", () => {
    const files = [file("a"), file("b", null, null), file("c", "text", "words")];
    expect(filesWithin(files, "c", { from: 5, before: 6 })).toEqual(files);
    expect(filesWithin([file("a", 1, 2)], "other", { from: 5 })).toHaveLength(1);
  });
});
