/**
 * Whether a server is ready by its code: not with other code than was registered from its start on, nor without any; but with a
 * warning where something is registered beside it, or must be asked for, or an apply would cure it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Definition } from "../../src/define/definition.ts";
import { count, entity, onDemand, service, stream, t, view } from "../../src/index.ts";
import { CodeCheck } from "../../src/platform/code-check.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { openPlatform } from "../../src/platform.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", { columns: { user_id: t.string(), at: t.timestamp() }, eventTime: "at" });
const visitor = (window: "1h" | "2h", version = 1) =>
  view("visitor", { version, entity: user, source: visits, features: { visits: count().over(window) } });
const visitorV1 = visitor("1h");
const half = onDemand("half", {
  inputs: [visitorV1],
  outputs: { half: t.float64() },
  compute: ({ visits: found }) => ({ half: found / 2 }),
});
const third = onDemand("half", {
  inputs: [visitorV1],
  outputs: { half: t.float64() },
  compute: ({ visits: found }) => ({ half: found / 3 }),
});
const halfV2 = onDemand("half", {
  version: 2,
  inputs: [visitorV1],
  outputs: { half: t.float64() },
  compute: ({ visits: found }) => ({ half: found / 2.5 }),
});
const plain = service("plain", { features: [visitorV1] });
const priced = service("priced", { features: [half] });
const pricedV2 = service("priced", { version: 2, features: [halfV2] });
const applied: readonly Definition[] = [user, visits, visitorV1, half, plain, priced];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-code-check-"));
  const registry = await openFileRegistry(join(folder, "registry"), { clock: systemClock });
  await registry.apply(applied);
  await registry.close();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Opened {
  readonly registry: Registry & { reload(definitions: readonly Definition[] | null): Promise<void> };
  readonly check: CodeCheck;
  /** As another process, which has the code. */
  applyElsewhere(definitions: readonly Definition[], promoted?: number): Promise<void>;
}

async function start(loaded: readonly Definition[], mayLack: "never" | "others" | "always" = "never"): Promise<Opened> {
  const registry = await openFileRegistry(join(folder, "registry"), { clock: systemClock });
  registry.attachCode(loaded);
  let revision = 0;
  const check = new CodeCheck(registry, { revision: () => revision, mayLack });
  return {
    registry,
    check,
    applyElsewhere: async (definitions, promoted) => {
      const other = await openFileRegistry(join(folder, "registry"), { clock: systemClock });
      if (promoted !== undefined) await other.moveAlias({ action: "promote", target: `priced@${promoted}`, by: "ada" });
      await other.apply(definitions);
      await registry.reload(null);
      revision += 1;
    },
  };
}

describe("whether a server's code is what was registered", () => {
  it("is well with the code that was applied, and with what is to be applied beside it", async () => {
    const { check } = await start([...applied, halfV2, pricedV2]);
    expect([check.refused, check.warnings]).toEqual([[], []]);
  });

  it("names the services that other code is refused for", async () => {
    const { check } = await start([user, visits, visitor("2h"), half, plain, priced]);
    expect(check.refused).toEqual([
      expect.stringMatching(
        /^services plain, priced are refused with FINGERPRINT_MISMATCH: the loaded visitor@1 \(\w+\) is not the registered one \(\w+\)$/,
      ),
    ]);
    const other = await start([user, visits, visitorV1, third, plain, priced]);
    expect(other.check.refused).toEqual([
      expect.stringMatching(/^service priced is refused with FINGERPRINT_MISMATCH/),
    ]);
  });

  it("is not ready without code; where projects share the registry, with some of it that is a warning", async () => {
    const missing = [
      "service priced is refused with FINGERPRINT_MISMATCH: half@1 has functions of its own, and its code is not loaded",
    ];
    expect((await start([])).check.refused).toEqual(missing);
    expect((await start([], "others")).check.refused).toEqual(missing);
    const { check } = await start([user, visits, visitorV1, plain], "others");
    const warnings = [`${missing[0]}; start with the definitions file that registered it`];
    expect([check.refused, check.warnings]).toEqual([[], warnings]);
  });

  it("stays ready where a version is applied beside it, and warns", async () => {
    const { check, applyElsewhere } = await start(applied);
    await applyElsewhere([...applied, halfV2, pricedV2]);
    expect(check.refused).toEqual([]);
    expect(check.warnings).toEqual([expect.stringMatching(/^service priced is refused .*half@2 has functions/)]);
    // Started again, it would not answer what the name alone means.
    const again = (await start(applied)).check;
    expect([again.refused, again.warnings]).toEqual([[expect.stringMatching(/^service priced is refused/)], []]);
  });

  it("is ready where the version that it lacks must be asked for", async () => {
    const { applyElsewhere } = await start(applied);
    await applyElsewhere([...applied, halfV2, pricedV2], 1);
    const { check } = await start(applied);
    expect(check.refused).toEqual([]);
    expect(check.warnings).toEqual([expect.stringMatching(/^service priced@2 is refused .*half@2 has functions/)]);
  });

  it("is ready once its code is what was registered", async () => {
    const { check, registry, applyElsewhere } = await start([user, visits, visitorV1, plain]);
    expect(check.refused).toHaveLength(1);
    registry.attachCode(applied);
    await applyElsewhere(applied);
    expect([check.refused, check.warnings]).toEqual([[], []]);
  });
});

it("answers 503 with the reason, and in warnings what it serves in spite of", async () => {
  const wrong = [user, visits, visitorV1, third, plain, priced];
  const platform = await openPlatform({ dataDir: folder, definitions: wrong });
  try {
    const refused = platform.request("GET", "/ready");
    await expect(refused).rejects.toMatchObject({
      code: "NOT_READY",
      message: expect.stringContaining("service priced is refused with FINGERPRINT_MISMATCH: the loaded half@1"),
      hint: expect.stringContaining("definitions that were applied"),
    });
  } finally {
    await platform.close();
  }
});
