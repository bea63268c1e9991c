/**
 * The same events, in every way they can come to be folded: live, across restarts, for a view registered after
 * them, for a draft that changed, as one import, as two imports of which the second stands before the first, in
 * training, preview, audit and explain. Late, early, tied, repeated and poisonous ones among them, drawn from a
 * seed. What must be the same is compared with each other, and with the naive oracle.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import {
  ACCOUNTS,
  accountView,
  at,
  definitionsWith,
  type LateEvent,
  lettersOf,
  MINUTE,
  Oracles,
  openAt,
  randomLateEvents,
  rowOf,
  shopView,
  statesOf,
  valuesOf,
} from "./late-world.ts";
import { firstSeed } from "../first-seed.ts";
import { caseCount } from "../case-count.ts";

const FIRST_SEED = firstSeed();
const RUNS = caseCount(2);

let folder: string;
const opened: Platform[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-modes-"));
});
afterEach(async () => {
  for (const platform of opened.splice(0)) await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(name: string, definitions: ReturnType<typeof definitionsWith>, minutes = 0) {
  const world = await openAt(join(folder, name), definitions, at(minutes));
  opened.push(world.platform);
  return world;
}

/** Pushes events in random batches, some of them twice, with restarts in between. */
async function pushAll(name: string, events: readonly LateEvent[], random: SeededRandom): Promise<Platform> {
  let { platform, clock } = await open(name, definitionsWith(accountView("live")));
  const seen: LateEvent[] = [];
  for (const batch of batchesByKnownTime(events, random)) {
    clock.advanceTo(batch[0]!.knownTime);
    const again = random.oneIn(3) ? seen.filter(({ id }) => id !== null && random.oneIn(5)) : [];
    const rows = [...batch.map(rowOf), ...again.map((event) => ({ ...rowOf(event), amount: 1 }))];
    const result = await platform.push("payments", rows);
    expect(result).toMatchObject({ accepted: batch.length, duplicates: again.length, rejected: 0 });
    seen.push(...batch);
    if (random.oneIn(4)) await platform.vector("live", { account: random.pick(ACCOUNTS) }, { token: true });
    if (!random.oneIn(8)) continue;
    opened.splice(opened.indexOf(platform), 1);
    await platform.close();
    ({ platform, clock } = await open(name, definitionsWith(accountView("live")), clock.now() / MINUTE));
  }
  return platform;
}

/** Runs of events that share a known time, so that a push can give them theirs. */
function batchesByKnownTime(events: readonly LateEvent[], random: SeededRandom): LateEvent[][] {
  const batches: LateEvent[][] = [];
  for (const event of events) {
    const last = batches.at(-1);
    if (last === undefined || last[0]!.knownTime !== event.knownTime || random.oneIn(4)) batches.push([event]);
    else last.push(event);
  }
  return batches;
}

async function importEvents(platform: Platform, events: readonly LateEvent[]): Promise<void> {
  const file = join(folder, `history-${Math.random()}.ndjson`);
  const lines = events.map((event) => JSON.stringify({ ...rowOf(event), known: { micros: event.knownTime } }));
  await writeFile(file, lines.join("\n"));
  const report = await platform.importHistory("payments", [file], { knownTimeColumn: "known" });
  expect(report).toMatchObject({ accepted: events.length, rejected: 0, duplicates: 0 });
}

/** Preview and explain, each of a view that was registered last. */
async function checkReaders(platform: Platform, events: readonly LateEvent[], oracles: Oracles): Promise<void> {
  const asOf = events.at(-1)!.knownTime;
  const previewed = await platform.preview({ view: "later", entityCount: 100 });
  expect(previewed.asOf).toBe(asOf);
  expect(previewed.eventsPoisoned).toBe(oracles.poisoned.length);
  for (const row of previewed.rows) oracles.check(row.key, asOf, row.values, row.statuses);
  for (const account of ACCOUNTS) {
    const explained = await platform.explain({ view: "later", feature: "events", key: account, asOf });
    const poisoned = oracles.poisoned.filter((event) => event.account === account);
    expect(explained.roles.poison ?? 0).toBe(poisoned.length);
    const listed = explained.events.filter(({ role }) => role === "poison").map(({ offset }) => offset);
    expect(listed).toEqual(poisoned.map(({ offset }) => offset));
    const own = events.filter((event) => event.account === account);
    expect(explained.events.map(({ lateByMicros }) => lateByMicros)).toEqual(
      own.map(({ eventTime, knownTime }) => Math.max(0, knownTime - eventTime)),
    );
    const late = own.filter(({ eventTime, knownTime }) => knownTime - eventTime > MINUTE);
    expect(explained.lateEvents).toBe(late.length);
    expect(explained.events.filter((event) => event.late).map(({ offset }) => offset)).toEqual(
      late.map(({ offset }) => offset),
    );
    const value = previewed.rows.find(({ key }) => key === account)?.values[0] ?? 0;
    expect(explained.value).toBe(value);
  }
}

async function checkTraining(
  platform: Platform,
  events: readonly LateEvent[],
  oracles: Oracles,
  random: SeededRandom,
): Promise<void> {
  const labels = Array.from({ length: 30 }, () => ({
    account: random.pick(ACCOUNTS),
    time: random.pick(events).knownTime + random.integer(-1, 1),
  }));
  // One behind all events, so that all of them are folded and every poisonous one is counted.
  const end = events.at(-1)!.knownTime;
  labels.push(...ACCOUNTS.map((account) => ({ account, time: end })));
  const csv = join(folder, "labels.csv");
  await writeFile(
    csv,
    ["account,event_timestamp", ...labels.map((one) => `${one.account},${isoMicros(one.time)}`)].join("\n"),
  );
  for (const knowledge of ["as-known", "final"] as const) {
    const request = { labels: csv, knowledge, boundary: "inclusive", allowAfterLog: true } as const;
    const live = await platform.train({ service: "live", ...request });
    const later = await platform.train({ service: "later", ...request });
    const [ofLive, ofLater] = [live.manifest.views[0]!, later.manifest.views[0]!];
    expect([ofLive.eventsFolded, ofLive.eventsPoisoned]).toEqual([ofLater.eventsFolded, ofLater.eventsPoisoned]);
    for (const [slot, column] of live.columns.entries()) {
      expect(later.columns[slot]!.statuses).toEqual(column.statuses);
      for (let row = 0; row < labels.length; row++) {
        expect(later.columns[slot]!.value(row)).toEqual(column.value(row));
      }
    }
    if (knowledge === "final") continue;
    expect(ofLive.eventsPoisoned).toBe(oracles.poisoned.length);
    for (const [row, { account, time }] of labels.entries()) {
      const then = new Oracles(events.filter(({ knownTime }) => knownTime <= time));
      then.check(
        account,
        time,
        live.columns.map((column) => column.value(row)),
      );
    }
  }
}

function isoMicros(micros: number): string {
  const text = new Date(Math.floor(micros / 1000)).toISOString();
  return `${text.slice(0, -1)}${String(micros % 1000).padStart(3, "0")}Z`;
}

describe("the same events in every mode", () => {
  it("give the same values, states, dead letters and counts, whichever way they come", async () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = FIRST_SEED + run;
      try {
        await runModes(seed);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      } finally {
        for (const platform of opened.splice(0)) await platform.close();
      }
    }
  }, 300_000);
});

async function runModes(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const events = randomLateEvents(random, random.pick([3, 60, 200]));
  const oracles = new Oracles(events);
  const asOf = events.at(-1)!.knownTime;

  const live = await pushAll(`live-${seed}`, events, random);
  await live.settle();
  const expectedLetters = oracles.letters();
  expect(await lettersOf(live, "live")).toEqual(expectedLetters);
  for (const account of ACCOUNTS) oracles.checkState(account, asOf, statesOf(live, "live").get(account));

  // Views that come after the events: one the same, one with a key that some events lack, and a draft that changes.
  await live.apply(
    definitionsWith(accountView("live"), accountView("later"), accountView("draft", "dev", 14), shopView),
  );
  expect(await lettersOf(live, "later")).toEqual(expectedLetters);
  expect(statesOf(live, "later")).toEqual(statesOf(live, "live"));
  expect(await lettersOf(live, "by_shop")).toEqual(oracles.keylessLetters());
  expect(await lettersOf(live, "draft")).toEqual(new Oracles(events, 14).letters());
  for (const unlucky of [13, 14, 13]) {
    await live.apply(
      definitionsWith(accountView("live"), accountView("later"), accountView("draft", "dev", unlucky), shopView),
    );
    expect(await lettersOf(live, "draft")).toEqual(new Oracles(events, unlucky).letters());
  }
  expect(statesOf(live, "draft", "dev")).toEqual(statesOf(live, "live"));
  expect(await live.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0, missing: 0 });
  await checkReaders(live, events, oracles);
  await checkTraining(live, events, oracles, random);

  const whole = await open(`whole-${seed}`, definitionsWith(accountView("live")), asOf / MINUTE);
  await importEvents(whole.platform, events);
  const imported = await lettersOf(whole.platform, "live", "ids");
  expect(imported.map(({ id: _id, ...letter }) => letter)).toEqual(expectedLetters);
  expect(valuesOf(whole.platform, "live", asOf)).toEqual(valuesOf(live, "live", asOf));

  const halves = await open(`halves-${seed}`, definitionsWith(accountView("live")), asOf / MINUTE);
  // Of rows known at the same time those that are there stay in front, so the cut lies where the time moves on.
  const cuts = events.flatMap(({ knownTime }, i) => (i > 0 && knownTime > events[i - 1]!.knownTime ? [i] : []));
  if (cuts.length === 0) return;
  const cut = random.pick(cuts);
  await importEvents(halves.platform, events.slice(cut));
  await importEvents(halves.platform, events.slice(0, cut));
  expect(await lettersOf(halves.platform, "live", "ids")).toEqual(imported);
  expect(valuesOf(halves.platform, "live", asOf)).toEqual(valuesOf(live, "live", asOf));
  expect(statesOf(halves.platform, "live")).toEqual(statesOf(whole.platform, "live"));
  expect(await halves.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0, missing: 0 });

  // The later part live, then the earlier part put in front of it: an epoch with live events, and a restart.
  const mixed = await open(`mixed-${seed}`, definitionsWith(accountView("live")), events[cut]!.knownTime / MINUTE);
  for (const batch of batchesByKnownTime(events.slice(cut), random)) {
    mixed.clock.advanceTo(batch[0]!.knownTime);
    await mixed.platform.push("payments", batch.map(rowOf));
  }
  await importEvents(mixed.platform, events.slice(0, cut));
  opened.splice(opened.indexOf(mixed.platform), 1);
  await mixed.platform.close();
  const reopened = await open(`mixed-${seed}`, definitionsWith(accountView("live")), asOf / MINUTE);
  const both = await lettersOf(reopened.platform, "live", "ids");
  expect(both.map(({ id: _id, ...letter }) => letter)).toEqual(expectedLetters);
  const historyIds = both.map(({ id }) => id).filter((id) => id.includes("history-"));
  expect(imported.map(({ id }) => id)).toEqual(expect.arrayContaining(historyIds));
  expect(valuesOf(reopened.platform, "live", asOf)).toEqual(valuesOf(live, "live", asOf));
  expect(await reopened.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0, missing: 0 });
}
