/** The registry's file: crashes and damage. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { OnefoldError } from "../../src/base/errors.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { all, changedView, payments, user } from "./example-definitions.ts";

const clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
let folder: string;
let registry: Registry;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "registry-"));
  registry = await openFileRegistry(folder, { clock });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function reopened(): Promise<Registry> {
  return openFileRegistry(folder, { clock });
}

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OnefoldError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("the registry's file", () => {
  it("goes on with what was read before where it is damaged meanwhile", async () => {
    const reader = await openFileRegistry(folder, { clock });
    await registry.apply(all);
    await reader.reload([]);
    await writeFile(join(folder, "registry.json"), "{");
    expect((await refusal(() => reader.reload([]))).code).toBe("REGISTRY_CORRUPT");
    expect(reader.service("model").fingerprint).toBe(registry.service("model").fingerprint);
  });

  it("survives a crash in the middle of a write: what was pending is neither read nor in the way", async () => {
    await registry.apply(all);
    const whole = await readFile(join(folder, "registry.json"), "utf8");
    for (const length of [0, 1, Math.floor(whole.length / 2), whole.length - 1]) {
      await writeFile(join(folder, ".registry.json.pending"), whole.slice(0, length));
      const later = await reopened();
      expect(later.plan(all).dirty).toBe(false);
      await later.apply([changedView({ version: length + 2 })]);
      expect((await reopened()).views().map(({ definition }) => definition.version)).toContain(length + 2);
      await writeFile(join(folder, "registry.json"), whole);
    }
  });

  it.each<[string, (text: string) => string]>([
    ["a torn file", (text) => text.slice(0, -20)],
    ["a flipped digit", (text) => text.replace("3600000000", "3600000001")],
    ["a file of no format", (text) => text.replace('"format": 1', '"format": 0')],
    ["a file that is empty", () => ""],
  ])("refuses %s with REGISTRY_CORRUPT", async (_, damage) => {
    await registry.apply(all);
    const file = join(folder, "registry.json");
    await writeFile(file, damage(await readFile(file, "utf8")));
    const error = await refusal(reopened);
    expect(error.code).toBe("REGISTRY_CORRUPT");
    expect(error.where).toBe(file);
  });

  it("says STORAGE_FAILED and stays as it was where it cannot write", async () => {
    await registry.apply([user]);
    await rm(folder, { recursive: true, force: true });
    await writeFile(folder, "a file where the folder was");
    const error = await refusal(() => registry.apply([payments]));
    expect(error.code).toBe("STORAGE_FAILED");
    expect(registry.sources()).toEqual([]);
  });
});
