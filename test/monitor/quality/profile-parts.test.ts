/** Parts of a day's profile: what cannot be read is not taken for what is not there. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ProfileParts } from "../../../src/monitor/quality/profile-parts.ts";
import { codeOf } from "../../code-of.ts";

const DAY = Date.UTC(2026, 2, 1) / 86_400_000;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-parts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("a folder that is not there has none, and a damaged part is as none", async () => {
  const parts = new ProfileParts(folder, "w");
  expect([...(await parts.days("v@1"))]).toEqual([]);
  await mkdir(join(folder, "monitor/quality/parts/v@1"), { recursive: true });
  await writeFile(join(folder, "monitor/quality/parts/v@1/2026-03-01.w.json"), "{");
  expect((await parts.read("v@1", DAY)).size).toBe(0);
});

it("a part that cannot be read is an error, and is not written over", async () => {
  const parts = new ProfileParts(folder, "w");
  await mkdir(join(folder, "monitor/quality/parts/v@1/2026-03-01.w.json"), { recursive: true });
  expect(await codeOf(parts.read("v@1", DAY))).toBe("STORAGE_FAILED");
  expect(await codeOf(parts.add("v@1", DAY, new Map()))).toBe("STORAGE_FAILED");
});

it("a folder that cannot be listed is an error", async () => {
  await mkdir(join(folder, "monitor/quality/parts"), { recursive: true });
  await writeFile(join(folder, "monitor/quality/parts/v@1"), "");
  expect(await codeOf(new ProfileParts(folder, "w").days("v@1"))).toBe("STORAGE_FAILED");
});
