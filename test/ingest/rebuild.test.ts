import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import type { Micros } from "../../src/base/micros.ts";
import type { EntityDefinition, StreamDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { compileDerived } from "../../src/fold/derive.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { NewDeadLetter } from "../../src/ingest/dead-letters.ts";
import type { EventLog } from "../../src/ingest/event-log.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { BackfillBudget } from "../../src/ingest/backfill-budget.ts";
import { BackfillPace } from "../../src/ingest/backfill-pace.ts";
import type { RebuildPlace } from "../../src/ingest/rebuild-place.ts";
import { foldArchiveWith } from "../../src/ingest/archive-fold.ts";
import { rebuildView, type RebuildRequest } from "../../src/ingest/rebuild.ts";
import { type ArchiveFiles, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { batchOfRows } from "../../src/offline-store/row-batch.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Value } from "../../src/schema/value.ts";
import { caseCount } from "../case-count.ts";
import { appendLive } from "../offline-store/live-events.ts";

let engine: QueryEngine;
let root: string;
let serial = 0;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-rebuild-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

const source: StreamDefinition = {
  kind: "stream",
  name: "payments",
  columns: [
    { name: "user", type: { name: "string" }, nullable: true },
    { name: "amount", type: { name: "float64" }, nullable: true },
    { name: "note", type: { name: "string" }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: false },
  ],
  derived: [
    { name: "who", type: { name: "string" }, expression: { op: "lower", input: { op: "column", name: "user" } } },
  ],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 0,
};
const entity: EntityDefinition = { kind: "entity", name: "user", keys: [{ name: "user", type: { name: "string" } }] };

function viewBy(key: string): ViewDefinition {
  return {
    kind: "view",
    name: `by_${key}`,
    version: 1,
    entity: "user",
    source: "payments",
    key: [key],
    features: [
      {
        name: "sum_1m",
        type: { name: "float64" },
        aggregation: { fn: "sum", column: "amount", over: { kind: "time", micros: 60e6 } },
      },
      { name: "last_note", type: { name: "string" }, aggregation: { fn: "last", column: "note" } },
      {
        name: "strict",
        type: { name: "int64" },
        aggregation: {
          fn: "custom",
          column: "amount",
          custom: {
            name: "strict",
            output: { name: "int64" },
            empty: () => 0,
            add: (state, input) => {
              if (input === 13) throw new Error("thirteen");
              return (state as number) + 1;
            },
            read: (state) => state as number,
          },
        },
      },
    ],
    online: true,
    offline: false,
    freshness: "real-time",
    exactEvents: 8,
  };
}

interface Event {
  readonly row: readonly Value[];
  readonly eventTime: Micros;
  readonly knownTime: Micros;
}

const eventArbitrary = fc
  .tuple(
    fc.constantFrom("a", "A", "b|", "ä", null),
    fc.constantFrom(1, 2.5, 0.1, 13, null),
    fc.constantFrom("x", "yy", null),
    fc.integer({ min: 0, max: 300 }),
  )
  .map(([user, amount, note, second]): Event => {
    const time = (1e15 + second * 1e6) as Micros;
    return { row: [user, amount, note, time], eventTime: time, knownTime: time };
  });

/** An archive whose history holds the events in the given pieces. */
async function archiveOf(pieces: readonly (readonly Event[])[], live: readonly LogEvent[] = []): Promise<ArchiveFiles> {
  const archive = await openEventArchive(openOfflineStore(join(root, String(++serial)), engine), engine, source);
  let files = await archive.files();
  for (const [place, piece] of pieces.entries()) {
    const rows = piece.map(({ row, eventTime, knownTime }, i) => [
      ...row,
      eventTime,
      knownTime,
      files.historyEnd + i,
      null,
    ]);
    await engine.fill("piece", archive.columns, [
      batchOfRows(
        archive.columns.map(({ type }) => type),
        rows,
      ),
    ]);
    files = await archive.appendHistory(files, {
      engine,
      select: "SELECT * FROM piece",
      firstKnownTime: place,
      lastKnownTime: place,
    });
  }
  await appendLive(archive, live);
  return archive.files();
}

/** A log of live events that takes no more. */
function logOf(events: readonly LogEvent[]): EventLog {
  return {
    nextOffset: events.length,
    lastKnownTime: 0,
    append: () => Promise.reject(new Error("a log of the past")),
    async *read(from) {
      for (let i = from; i < events.length; i += 7) yield events.slice(i, i + 7);
    },
    close: () => Promise.resolve(),
  };
}

async function fold(
  view: ViewDefinition,
  store: MemoryOnlineStore,
  files: ArchiveFiles,
  more: Partial<RebuildRequest> = {},
) {
  const letters: NewDeadLetter[] = [];
  const result = await rebuildView({
    now: () => 0,
    source,
    foldArchive: foldArchiveWith(engine),
    files,
    store,
    space: "s",
    epoch: 0,
    upTo: 0,
    log: null,
    view: { definition: view, fold: compileViewFold(view, source, entity) },
    deadLetters: { add: async (some) => letters.push(...some) },
    ...more,
  });
  return { result, letters };
}

/** What a dead letter says, by offset; ids have a test of their own. */
type Said = Pick<NewDeadLetter, "code" | "message" | "payload"> & { readonly offset: number };

function said(letters: readonly NewDeadLetter[]): Said[] {
  return letters
    .map(({ offset, code, message, payload }) => ({ offset: offset!, code, message, payload }))
    .toSorted((a, b) => a.offset - b.offset);
}

/** States as folding the events one by one in offset order makes them, and the letters of those it cannot take. */
function foldDirectly(
  view: ViewDefinition,
  events: readonly Event[],
  offsetOf = (i: number): number => HISTORY_BASE + i,
): { states: Map<string, string>; letters: Said[] } {
  const compiled = compileViewFold(view, source, entity);
  const { derive } = compileDerived(source);
  const states = new Map<string, ReturnType<typeof compiled.empty>>();
  const letters: Said[] = [];
  for (const [i, { row, eventTime, knownTime }] of events.entries()) {
    const [user, amount, note, at] = row;
    const letter = { offset: offsetOf(i), payload: { user, amount, note, at } };
    if (user === null) {
      letters.push({ ...letter, code: "KEY_MISSING", message: "an entity key column is null or missing" });
      continue;
    }
    const derived = derive([...row]);
    const key = compiled.keyOf(derived);
    const state = states.get(key) ?? compiled.empty();
    const outcome = compiled.fold(state, { offset: offsetOf(i), eventTime, knownTime, row: derived });
    if (outcome.kind === "poison") letters.push({ ...letter, code: "EVENT_POISON", message: "thirteen" });
    if (state.lastOffset !== Number.NEGATIVE_INFINITY) states.set(key, state);
  }
  return {
    states: new Map(Array.from(states, ([key, state]) => [key, Buffer.from(compiled.encode(state)).toString("hex")])),
    letters,
  };
}

function statesIn(store: MemoryOnlineStore): Map<string, string> {
  return new Map(Array.from(store.scan("s"), ({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]));
}

/** Fails each commit once so many have gone well, as a process that ends there. */
class FailingStore extends MemoryOnlineStore {
  commitsLeft = Number.POSITIVE_INFINITY;

  override commitAlone(...commit: Parameters<MemoryOnlineStore["commitAlone"]>): Promise<void> {
    if (this.commitsLeft-- <= 0) return Promise.reject(new Error("cut"));
    return super.commitAlone(...commit);
  }
}

describe("history folded by entity", () => {
  it("gives the bytes that folding event by event gives, for stored and derived keys, at once or in steps", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventArbitrary, { minLength: 1, maxLength: 120 }),
        fc.nat(120),
        fc.constantFrom("user", "who"),
        async (events, cut, key) => {
          const view = viewBy(key);
          const expected = foldDirectly(view, events);
          const [first, second] = [events.slice(0, cut), events.slice(cut)];
          const pieces = [first, second].filter((piece) => piece.length > 0);
          const files = await archiveOf(pieces);

          const atOnce = new MemoryOnlineStore();
          const { result, letters } = await fold(view, atOnce, files);
          expect(statesIn(atOnce)).toEqual(expected.states);
          expect(said(letters)).toEqual(expected.letters);
          expect(result).toMatchObject({ entities: expected.states.size, poisoned: expected.letters.length });

          const inSteps = new MemoryOnlineStore();
          const firstEnd = HISTORY_BASE + first.length;
          await fold(view, inSteps, {
            ...files,
            history: files.history.slice(0, first.length > 0 ? 1 : 0),
            historyEnd: firstEnd,
          });
          // Repeated from too early, as after a crash: what the states hold already is skipped.
          await fold(view, inSteps, files, { continueFrom: Math.max(HISTORY_BASE, firstEnd - 5) });
          await fold(view, inSteps, files, { continueFrom: firstEnd });
          expect(statesIn(inSteps)).toEqual(expected.states);
        },
      ),
      { numRuns: caseCount(20) },
    );
  });

  it("goes on with archived live events and then with the log, up to an exact position", async () => {
    const { derive } = compileDerived(source);
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventArbitrary, { minLength: 1, maxLength: 80 }),
        fc.nat(80),
        fc.nat(80),
        fc.nat(80),
        fc.constantFrom("user", "who"),
        async (events, historyCount, archivedCount, foldedCount, key) => {
          const view = viewBy(key);
          const history = events.slice(0, historyCount);
          const live = events.slice(historyCount).map(({ row, eventTime, knownTime }, offset): LogEvent => ({
            offset,
            eventTime,
            knownTime,
            id: null,
            row: derive([...row]),
          }));
          const upTo = Math.min(foldedCount, live.length);
          const offsetOf = (i: number): number => (i < history.length ? HISTORY_BASE + i : i - history.length);
          const expected = foldDirectly(view, events.slice(0, history.length + upTo), offsetOf);
          const files = await archiveOf(history.length > 0 ? [history] : [], live.slice(0, archivedCount));

          const store = new MemoryOnlineStore();
          await store.commit([{ space: "s", key: "stale", epoch: 0, offset: 1, bytes: new Uint8Array(3) }], []);
          const { letters } = await fold(view, store, files, { upTo, log: logOf(live) });
          expect(statesIn(store)).toEqual(expected.states);
          expect(said(letters)).toEqual(expected.letters);
        },
      ),
      { numRuns: caseCount(20) },
    );
  });

  it("cut short at any commit goes on behind the last entity that was written, to the same bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventArbitrary, { minLength: 1, maxLength: 80 }),
        fc.nat(80),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom("user", "who"),
        async (events, historyCount, cuts, key) => {
          const view = viewBy(key);
          const { derive } = compileDerived(source);
          const history = events.slice(0, historyCount);
          const live = events.slice(historyCount).map(({ row, eventTime, knownTime }, offset): LogEvent => {
            return { offset, eventTime, knownTime, id: null, row: derive([...row]) };
          });
          const offsetOf = (i: number): number => (i < history.length ? HISTORY_BASE + i : i - history.length);
          const expected = foldDirectly(view, events, offsetOf);
          const upTo = live.length;
          const files = await archiveOf(history.length > 0 ? [history] : [], live);
          const store = new FailingStore();
          const letters = new Map<number, Said>();
          const attempts: (RebuildPlace | null)[] = [];
          let result: Awaited<ReturnType<typeof fold>>["result"] | null = null;
          for (let attempt = 0; result === null; attempt++) {
            const bytes = store.getMeta("place");
            const start = bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as RebuildPlace);
            attempts.push(start);
            store.commitsLeft = cuts[attempt] ?? Number.POSITIVE_INFINITY;
            const deadLetters = {
              add: async (some: readonly NewDeadLetter[]) => {
                for (const one of said(some)) letters.set(one.offset, one);
              },
            };
            const places = {
              start,
              meta: (place: RebuildPlace) => ({ name: "place", bytes: Buffer.from(JSON.stringify(place)) }),
            };
            const request = { upTo, log: logOf(live), places, commitBytesMax: 1, deadLetters };
            result = await fold(view, store, files, request).then(
              (done) => done.result,
              (error: unknown) => {
                if ((error as Error).message !== "cut") throw error;
                return null;
              },
            );
          }
          expect(statesIn(store)).toEqual(expected.states);
          expect([...letters.values()].toSorted((a, b) => a.offset - b.offset)).toEqual(expected.letters);
          expect(result).toMatchObject({ entities: expected.states.size, poisoned: expected.letters.length });
          // It does go on: where a first attempt got somewhere, the second does not begin at nothing.
          if (attempts.length > 1 && cuts[0]! > 1) expect(attempts[1]).not.toBeNull();
        },
      ),
      { numRuns: caseCount(20) },
    );
  });

  it("gives up the turn again and again where it is paced, and comes to the same states", async () => {
    const events = Array.from({ length: 20_000 }, (_, i): Event => {
      const time = (1e15 + i) as Micros;
      return { row: [`u${i % 700}`, i % 11, null, time], eventTime: time, knownTime: time };
    });
    const files = await archiveOf([events]);
    const [paced, unpaced] = [new MemoryOnlineStore(), new MemoryOnlineStore()];
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 1);
    await fold(viewBy("user"), paced, files, { pace: new BackfillPace(new BackfillBudget(() => 0.2)) });
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(10);
    await fold(viewBy("user"), unpaced, files);
    expect(statesIn(paced)).toEqual(statesIn(unpaced));
  });

  it("names each of many poisonous events once, the same ones however often it is repeated", async () => {
    // Twins in all that an event holds: only their places tell them apart.
    const events = Array.from({ length: 25_000 }, (_, i): Event => {
      const time = (1e15 + Math.floor(i / 3)) as Micros;
      return {
        row: [i % 2 === 0 ? null : `u${Math.floor(i / 3) % 50}`, 13, null, time],
        eventTime: time,
        knownTime: time,
      };
    });
    const [view, store] = [viewBy("user"), new MemoryOnlineStore()];
    const whole = await fold(view, store, await archiveOf([events]));
    expect(whole.result).toMatchObject({ entities: 0, poisoned: events.length });
    const ids = new Set(whole.letters.map(({ id }) => id));
    expect(ids.size).toBe(events.length);
    // The same history in another epoch: other offsets, for some more stands before it.
    const earlier = {
      row: ["old", 1, null, 1e15 - 1],
      eventTime: (1e15 - 1) as Micros,
      knownTime: (1e15 - 1) as Micros,
    };
    const again = await fold(view, store, await archiveOf([[earlier, ...events]]));
    expect(again.result).toMatchObject({ entities: 1, poisoned: events.length });
    expect(new Set(again.letters.map(({ id }) => id))).toEqual(ids);
  });

  it("reports progress, and stops when it is cancelled", async () => {
    const events = Array.from({ length: 9000 }, (_, i): Event => {
      const time = (1e15 + i) as Micros;
      return { row: [`u${i % 700}`, i, null, time], eventTime: time, knownTime: time };
    });
    const files = await archiveOf([events]);
    const progress: number[] = [];
    const store = new MemoryOnlineStore();
    const { result } = await fold(viewBy("user"), store, files, {
      onProgress: (done, total) => progress.push(done, total),
    });
    expect(result).toEqual({ events: 9000, entities: 700, poisoned: 1 });
    expect(progress.slice(-2)).toEqual([9000, 9000]);
    expect(progress.length).toBeGreaterThan(4);
    const cancelled = fold(viewBy("user"), new MemoryOnlineStore(), files, { signal: AbortSignal.abort() });
    await expect(cancelled.catch((error: unknown) => (isOnefoldError(error) ? error.code : error))).resolves.toBe(
      "CANCELLED",
    );
  });
});
