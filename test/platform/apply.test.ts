/**
 * Applying definitions: all of them or nothing.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { custom, entity, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const machine = entity("machine", { machine_id: t.string() });
const samples = stream("samples", {
  columns: { machine_id: t.string(), at: t.timestamp(), celsius: t.float64() },
  eventTime: "at",
});
const withCustom = (low: number | null) =>
  view("health", {
    entity: machine,
    source: samples,
    features: {
      range: custom("range", {
        output: t.float64(),
        empty: (): { low: number | null } => ({ low }),
        add: (state, celsius: number) => ({ low: Math.min(state.low ?? celsius, celsius) }),
        read: (state) => state.low,
      })("celsius"),
    },
  });

let folder: string;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-apply-"));
  platform = await openPlatform({ dataDir: folder });
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function registryBytes(): Promise<string> {
  const files = await readdir(join(folder, "registry")).catch(() => []);
  const contents = await Promise.all(files.sort().map((file) => readFile(join(folder, "registry", file), "utf8")));
  return contents.join();
}

describe("apply", () => {
  it("registers nothing where only the fold finds a fault, and plan finds it too", async () => {
    await platform.apply([machine, samples]);
    const before = await registryBytes();
    // JSON has no Infinity, and custom states are JSON.
    const broken = withCustom(Number.POSITIVE_INFINITY);
    expect(() => platform.plan([machine, samples, broken])).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID" }),
    );
    await expect(platform.apply([machine, samples, broken])).rejects.toMatchObject({ code: "DEFINITION_INVALID" });
    expect(await registryBytes()).toBe(before);
    await platform.apply([machine, samples, withCustom(null), service("ok", { features: [withCustom(null)] })]);
    await platform.push("samples", [{ machine_id: "m", at: "2026-01-01T00:00:00Z", celsius: 3.5 }]);
    expect((await platform.vector("ok", { machine_id: "m" })).features).toEqual({ range: 3.5 });
  });

  it("registers nothing where one definition of several is refused", async () => {
    const first = view("v", { entity: machine, source: samples, features: { total: sum("celsius") } });
    await platform.apply([machine, samples, first]);
    const before = await registryBytes();
    const changed = view("v", { entity: machine, source: samples, features: { total: sum("celsius").over("1h") } });
    const added = view("w", { entity: machine, source: samples, features: { total_w: sum("celsius") } });
    await expect(platform.apply([machine, samples, added, changed])).rejects.toMatchObject({
      code: "DEFINITION_CHANGED",
    });
    expect(await registryBytes()).toBe(before);
  });
});
