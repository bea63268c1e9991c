/**
 * A backfill that is cut short, and events taken back, replaced and forgotten before it goes on and goes live: it is from
 * then on what it would be had it always existed, to the byte, and holds nothing of whom was forgotten.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { count, custom, entity, lastK, max, stream, sum, t, view } from "../../src/index.ts";
import type { Correction } from "../../src/ingest/corrections.ts";
import { tailSpace } from "../../src/ingest/tail-group.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { allBackfills, type BackfillPlace } from "../../src/platform/backfill-place.ts";
import type { PlatformOptions } from "../../src/platform/platform-options.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const SEED = firstSeed();
const HISTORY = 3000;
const USERS = 300;

const user = entity("user", { user: t.string() });
const visits = stream("visits", {
  columns: { id: t.string(), user: t.string(), page: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
  id: "id",
});
/** A state is some KB, so that a backfill writes several times. */
const features = {
  n: count().over("1h"),
  total: sum("amount"),
  most: max("amount").over("20m"),
  pages: lastK("page", 8),
};
const length = custom("length", {
  output: t.int64(),
  empty: () => 0,
  add: (state: number, page: string | null) => state + (page ?? "").length,
  read: (state: number) => state,
});
const always = view("always", { entity: user, source: visits, features });
const late = view("late", { entity: user, source: visits, features });
const coded = { ...features, length: length("page") };
const base: Definition[] = [user, visits, always];

let folder: string;
let clock: ReplayClock;
let random: SeededRandom;
let platform: Platform;
let ids: string[];
let serial: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-backfill-corrected-"));
  clock = new ReplayClock(START);
  random = new SeededRandom(SEED);
  [ids, serial] = [[], 0];
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<PlatformOptions> = {}): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, servingLogSampleRate: 1, ...options });
}

/** History and live events behind it, some of them corrected already. */
async function begin(definitions: readonly Definition[]): Promise<void> {
  await open();
  await platform.apply(definitions);
  const file = join(folder, "history.ndjson");
  await writeFile(file, Array.from({ length: HISTORY }, () => JSON.stringify(visit())).join("\n"));
  await platform.importHistory("visits", [file]);
  clock.advanceTo((START + MINUTE) as Micros);
  await change();
  await platform.close();
  await open({ backfillShare: 0.02 });
  await platform.serve({ port: 0 });
}

function visit(): { readonly id: string } & Record<string, unknown> {
  const at = formatMicros((clock.now() - random.integer(0, 20 * MINUTE)) as Micros);
  const id = `v-${serial++}`;
  ids.push(id);
  const page = `${random.integer(0, 9)}`.repeat(600);
  return { id, user: `u-${random.integer(1, USERS)}-end`, page, amount: random.integer(0, 99) / 4, at };
}

/** Events come, and others are taken back and replaced. */
async function change(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    clock.advanceTo((clock.now() + random.integer(1, MINUTE)) as Micros);
    await platform.push("visits", Array.from({ length: random.integer(1, 30) }, visit));
    const corrections = Array.from({ length: random.integer(1, 12) }, (): Correction => {
      const id = random.pick(ids);
      return random.next() < 0.5 ? { op: "retract", id } : { op: "replace", id, event: { ...visit(), id } };
    });
    await platform.correct("visits", corrections);
  }
}

/** As the folder has it, beside the one who owns it. */
async function backfillUnderWay(): Promise<BackfillPlace | null> {
  const store = openLmdbStore({ folder: join(folder, "data", "online"), readOnly: true });
  try {
    return [...allBackfills(store)][0]?.[1] ?? null;
  } finally {
    await store.close();
  }
}

/** Cuts it short once it has written more than there is; false where it was done before that. */
async function cutShort(work: Promise<unknown>, cut: () => unknown): Promise<boolean> {
  const state: { isOver: boolean } = { isOver: false };
  const ended = work.then(
    () => "done",
    (error: { readonly code?: string }) => error.code ?? String(error),
  );
  void ended.then(() => (state.isOver = true));
  const wanted = ((await backfillUnderWay())?.place?.entities ?? 0) + random.integer(1, 100);
  while (!state.isOver && ((await backfillUnderWay())?.place?.entities ?? 0) < wanted) await sleep(2);
  await cut();
  expect(["CANCELLED", "done"]).toContain(await ended);
  const underWay = await backfillUnderWay();
  if (underWay !== null) expect(underWay.place?.entities ?? 0).toBeGreaterThan(0);
  return underWay !== null;
}

function states(name: string): Map<string, string> {
  return new Map(
    [...platform.exportStates(name, 1)].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

async function expectSame(name: string, as: string): Promise<void> {
  await platform.settle();
  expect(states(name), `seed ${SEED}`).toEqual(states(as));
  expect(await platform.audit({ states: true }), `seed ${SEED}`).toMatchObject({ clean: true });
  await change();
  await platform.settle();
  expect(states(name), `seed ${SEED}, and after more`).toEqual(states(as));
}

/** Names and bytes of all that is stored online, of one moment. */
async function stored(): Promise<string> {
  const store = openLmdbStore({ folder: join(folder, "data", "online"), readOnly: true });
  const all: string[] = [];
  try {
    for (const { name, bytes } of store.scanMeta("")) all.push(name, Buffer.from(bytes).toString("latin1"));
    const tails = tailSpace("visits", "user", ["user"]);
    for (const space of ["late@1#0", "late@1#0.1", "always@1#0", tails])
      for (const { key, bytes } of store.scan(space))
        all.push(`${space} ${key}`, Buffer.from(bytes).toString("latin1"));
  } finally {
    await store.close();
  }
  return all.join("\n");
}

describe("a backfill that is cut short", { timeout: 400_000 }, () => {
  it(`is what it would be had it always existed, of events that were corrected and entities that were forgotten meanwhile (seed ${SEED})`, async () => {
    await begin([...base, late]);
    const controller = new AbortController();
    const work = platform.backfill({ name: "late" }, { signal: controller.signal });
    const isCut = await cutShort(work, () => controller.abort());
    await change();
    const place = (await backfillUnderWay())?.place;
    if (isCut) expect(place).not.toBeNull();
    // The last one that was written, whom the place names, and any other. The first forgetting goes on with the backfill.
    const gone = [place?.afterKey ?? "u-1-end", `u-${random.integer(1, USERS)}-end`];
    expect(await stored()).toContain(gone[0]);
    const forgotten = platform.forget("user", [gone[0]]);
    while ((await stored()).includes(`always@1#0 ${gone[0]}`)) await sleep(2);
    // Its states and what names it go at once, before the backfill goes on.
    expect(await stored(), `seed ${SEED}`).not.toContain(gone[0]);
    if (random.next() < 0.5) {
      await cutShort(forgotten, () => platform.close());
      await open();
    } else await forgotten;
    for (const name of gone.slice(1)) await platform.forget("user", [name]);
    expect(await backfillUnderWay()).toBeNull();
    const all = await stored();
    for (const name of gone) expect(all.includes(name), `${name}, seed ${SEED}`).toBe(false);
    await expectSame("late", "always");
  });

  it(`goes on with what was corrected while nobody had the code of its view (seed ${SEED})`, async () => {
    const withCode = [...base, view("always_coded", { entity: user, source: visits, features: coded })];
    await begin(withCode);
    const all = [...withCode, view("late_coded", { entity: user, source: visits, features: coded })];
    const isCut = await cutShort(platform.apply(all), () => platform.close());
    await open();
    await change();
    if (isCut) expect(await backfillUnderWay()).not.toBeNull();
    await platform.close();
    await open({ definitions: all });
    expect(await backfillUnderWay()).toBeNull();
    await expectSame("late_coded", "always_coded");
  });
});
