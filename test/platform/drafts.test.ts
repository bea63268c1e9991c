/**
 * Drafts, `view@dev`: whatever becomes of a draft, what is stored under its name is what its present definition
 * makes of all events from the first one on, to the byte, and nothing else.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { count, entity, max, onDemand, service, stream, sum, t, view } from "../../src/index.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const SEED = Number(process.env["SEED"] ?? 20_260_301);

const meter = entity("meter", { meter_id: t.string() });
const columns = { meter_id: t.string(), read_at: t.timestamp(), watts: t.int64() };
const indoor = stream("indoor", { columns, eventTime: "read_at" });
const outdoor = stream("outdoor", { columns, eventTime: "read_at" });
const sources = { indoor, outdoor } as const;
const base = [meter, indoor, outdoor];

/** Definitions that the draft goes back and forth between; some share their features' names, none their states. */
const draft = (source: keyof typeof sources, features: Parameters<typeof view>[1]["features"]) =>
  view("draft", { version: "dev", entity: meter, source: sources[source], features });
const VARIANTS = [
  draft("indoor", { watts: sum("watts") }),
  draft("indoor", { watts: max("watts").over("10m") }),
  draft("outdoor", { watts: sum("watts") }),
  draft("outdoor", { watts: sum("watts").over("1h"), n: count() }),
] as const;
type Variant = (typeof VARIANTS)[number];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-drafts-"));
  clock = new ReplayClock(START);
  await open();
  await platform.apply(base);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, servingLogSampleRate: 1 });
}

function reading(random: SeededRandom): Record<string, unknown> {
  const readAt = (clock.now() - random.integer(0, 20 * MINUTE)) as Micros;
  return { meter_id: `m${random.integer(1, 9)}`, read_at: formatMicros(readAt), watts: random.integer(-50, 500) };
}

async function pushSome(source: string, random: SeededRandom, rowsMax = 30): Promise<void> {
  clock.advanceTo((clock.now() + random.integer(1, 5 * MINUTE)) as Micros);
  await platform.push(
    source,
    Array.from({ length: random.integer(1, rowsMax) }, () => reading(random)),
  );
}

/** Encoded states by key, folded here from the archived events, one after the other. */
async function foldedFromTheFirst(definition: Variant): Promise<Map<string, string>> {
  const source = sources[definition.source as keyof typeof sources];
  const fold = compileViewFold(definition, source, meter);
  const states = new Map<string, ReturnType<typeof fold.empty>>();
  for (const event of await platform.offlineRows(`events/${source.name}`, "_offset")) {
    const row = source.columns.map(({ name }): Value => event[name]!);
    const key = fold.keyOf(row);
    const state = states.get(key) ?? fold.empty();
    states.set(key, state);
    const [offset, eventTime, knownTime] = [event["_offset"], event["_event_time"], event["_known_time"]];
    fold.fold(state, {
      offset: offset as number,
      eventTime: eventTime as Micros,
      knownTime: knownTime as Micros,
      row,
    });
  }
  return new Map([...states].map(([key, state]) => [key, Buffer.from(fold.encode(state)).toString("hex")]));
}

function stored(): Map<string, string> {
  return new Map(
    [...platform.exportStates("draft", "dev")].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

async function expectStates(definition: Variant, why: string): Promise<void> {
  await platform.settle();
  expect(stored(), why).toEqual(await foldedFromTheFirst(definition));
}

describe("a draft", () => {
  it(`leaves no stale state, however it is changed, moved, dropped and brought back (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    let current: Variant | null = null;
    const done: string[] = [];
    for (let step = 0; step < 40; step++) {
      const action = random.integer(0, 9);
      if (action < 3) await pushSome(random.pick(["indoor", "outdoor"]), random);
      else if (action < 8) {
        current = random.pick(VARIANTS);
        await platform.apply([...base, current]);
      } else if (action === 8 && current !== null) {
        await platform.dropDraft("draft");
        current = null;
      } else {
        await platform.close();
        await open();
      }
      done.push(`${action}${current === null ? "" : `:${VARIANTS.indexOf(current)}`}`);
      if (current !== null) await expectStates(current, `seed ${SEED}, steps ${done.join(" ")}`);
      else
        expect(() => platform.exportStates("draft", "dev")).toThrow(expect.objectContaining({ code: "VIEW_UNKNOWN" }));
    }
  }, 240_000);

  it("is rebuilt beside pushes, which do not wait, and is served once it stands at the present", async () => {
    const random = new SeededRandom(SEED);
    const file = join(folder, "history.ndjson");
    const rows = Array.from({ length: 60_000 }, () => JSON.stringify(reading(random)));
    await writeFile(file, rows.join("\n"));
    await platform.importHistory("indoor", [file]);
    clock.advanceTo((START + MINUTE) as Micros);
    await platform.apply([...base, VARIANTS[0]]);

    const rebuild = { done: false };
    let pushedMeanwhile = 0;
    const pushing = (async () => {
      while (!rebuild.done) {
        await pushSome("indoor", random, 5);
        if (!rebuild.done) pushedMeanwhile++;
      }
    })();
    // The old meaning's values (sums, all above 1000) until the draft is refused, the new one's (a maximum) after.
    const answers: unknown[] = [];
    const asking = (async () => {
      while (!rebuild.done) {
        const answer = await platform.features("meter", "m1", ["draft@dev:watts"]).then(
          ({ features }) => features["draft@dev:watts"],
          (error: { code?: unknown }) => error.code,
        );
        if (answer !== answers.at(-1)) answers.push(answer);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await platform.apply([...base, VARIANTS[1]]);
    rebuild.done = true;
    await Promise.all([pushing, asking]);
    expect(pushedMeanwhile).toBeGreaterThan(2);
    const refusedAt = answers.indexOf("NOT_READY");
    expect(refusedAt).toBeGreaterThan(0);
    for (const [i, answer] of answers.entries()) {
      if (i < refusedAt) expect(answer).toBeGreaterThan(1000);
      else if (i > refusedAt) expect(answer ?? 0, "null once the window is empty").toBeLessThanOrEqual(500);
    }
    await expectStates(VARIANTS[1], `seed ${SEED}`);
    await pushSome("indoor", random);
    await expectStates(VARIANTS[1], `seed ${SEED}, after one more push`);
  }, 240_000);

  it("whose states are being removed keeps no close waiting, and has none of them once it is opened again", async () => {
    const meters = 5000;
    const counts = async (): Promise<{ readonly states: number; readonly notes: number }> => {
      await platform.close();
      const store = openLmdbStore({ folder: join(folder, "data", "online"), readOnly: true });
      const states = store.count("draft@dev#0") + store.count("draft@dev#0.1");
      const notes = [...store.scanMeta("dropping/")].length;
      await store.close();
      return { states, notes };
    };
    await platform.apply([...base, VARIANTS[0]]);
    const read_at = formatMicros(clock.now());
    await platform.push(
      "indoor",
      Array.from({ length: meters }, (_, i) => ({ meter_id: `m${i}`, read_at, watts: 1 })),
    );
    await platform.settle();
    await platform.close();
    // It rests a hundred times as long as it works.
    platform = await openPlatform({ dataDir: join(folder, "data"), clock, backfillShare: 0.01 });
    await platform.serve({ port: 0 });
    const applying = platform.apply([...base, VARIANTS[1]]).catch(() => undefined);
    const codeOf = (): Promise<unknown> =>
      platform.features("meter", "m1", ["draft@dev:watts"]).then(
        () => null,
        (error: { code?: unknown }) => error.code,
      );
    await expect.poll(codeOf, { timeout: 60_000 }).toBe("NOT_READY");
    expect((await counts()).states).toBeGreaterThan(0);
    await applying;
    await open();
    await expectStates(VARIANTS[1], "folded anew");
    expect(await counts()).toEqual({ states: meters, notes: 0 });
    await open();
  });

  it("is not in the serving log, so that the audit never meets it", async () => {
    const random = new SeededRandom(SEED);
    await platform.apply([...base, VARIANTS[0]]);
    await pushSome("indoor", random);
    await platform.features("meter", "m1", ["draft@dev:watts"]);
    expect(await platform.audit()).toMatchObject({ vectors: 0 });
  });

  it("is dropped with its states, even if the process ends between the registry and the states", async () => {
    const random = new SeededRandom(SEED);
    await pushSome("indoor", random);
    await platform.apply([...base, VARIANTS[0]]);
    await platform.settle();
    // As a crash would leave it: the registry has lost the draft, the stores still have it.
    await platform.registry.dropDraft("draft");
    await platform.close();
    await open();
    await pushSome("indoor", random);
    await platform.apply([...base, VARIANTS[0]]);
    await expectStates(VARIANTS[0], "brought back");
    expect(
      platform.registry.history().map(({ changes }) => changes.map(({ change, name }) => `${change} ${name}`)),
    ).toContainEqual(["remove draft@dev"]);
  });

  it("that others are computed from stays until they are gone; a numbered version is no draft", async () => {
    const doubled = onDemand("doubled", {
      version: "dev",
      inputs: [VARIANTS[0]],
      outputs: { twice: t.int64() },
      compute: ({ watts }) => ({ twice: (watts as unknown as number) * 2 }),
    });
    const numbered = view("numbered", { entity: meter, source: indoor, features: { total: sum("watts") } });
    await platform.apply([...base, VARIANTS[0], doubled, numbered]);
    await expect(platform.dropDraft("draft")).rejects.toMatchObject({
      code: "DEFINITION_INVALID",
      hint: "drop doubled@dev first",
    });
    await expect(platform.dropDraft("numbered")).rejects.toMatchObject({ code: "VIEW_UNKNOWN" });
    await expect(platform.dropDraft("doubeld")).rejects.toMatchObject({ candidates: ["doubled@dev"] });
    await platform.dropDraft("doubled");
    await platform.dropDraft("draft");
    expect(platform.registry.find({ version: "dev" })).toEqual([]);
  });

  it("reaches a pinned service by no way: not by itself, nor through a numbered on-demand view", async () => {
    const through = (version: number | "dev") =>
      onDemand("doubled", {
        version,
        inputs: [VARIANTS[0]],
        outputs: { twice: t.int64() },
        compute: ({ watts }) => ({ twice: (watts as unknown as number) * 2 }),
      });
    const refusal = { code: "DEFINITION_INVALID", message: expect.stringContaining("is of a draft, which may change") };
    await expect(platform.apply([...base, service("model", { features: [VARIANTS[0]] })])).rejects.toMatchObject(
      refusal,
    );
    await expect(platform.apply([...base, VARIANTS[0], through(1)])).rejects.toMatchObject(refusal);
    await expect(
      platform.apply([...base, VARIANTS[0], through("dev"), service("model", { features: [through("dev")] })]),
    ).rejects.toMatchObject(refusal);
    await platform.apply([...base, VARIANTS[0], through("dev")]);
  });
});
