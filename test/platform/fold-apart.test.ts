/**
 * Archived events folded in a process of its own come to the very parts that folding them here gives; the process yields to
 * whoever asks, is missed when it is killed, and leaves nothing behind. Runs what is built, as the process is a program of it.
 */
import { readdirSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { count, entity, last, mean, quantile, stream, sum, t, view } from "../../src/index.ts";
import { startHere, type StartedProcess, type StartProcess } from "../../src/base/started-process.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { type ArchiveFoldRequest, type FoldedPart, foldArchiveWith } from "../../src/ingest/archive-fold.ts";
import { openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { EventFiles } from "../../src/offline-store/event-archive.ts";
import type { canFoldApart as canFunction, foldArchiveApart as foldFunction } from "../../src/platform/fold-apart.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";
import { codeOf } from "../code-of.ts";
import { childrenOf, IDLE_CLASS, isAlive, schedulingClassOf } from "../processes.ts";
import { appendLive, type ArchivedEvent } from "../offline-store/live-events.ts";

const DIST = fileURLToPath(new URL("../../dist/platform/fold-apart.js", import.meta.url));
const { canFoldApart, foldArchiveApart } = (await import(pathToFileURL(DIST).href)) as {
  readonly canFoldApart: typeof canFunction;
  readonly foldArchiveApart: typeof foldFunction;
};

const SEED = firstSeed();
const EVENTS = 30_000;

const meter = entity("meter", { meter_id: t.string() });
const source = stream("readings", {
  columns: { meter_id: t.string().nullable(), read_at: t.timestamp(), watts: t.int64().nullable() },
  eventTime: "read_at",
});
const definition = view("hot", {
  version: 1,
  entity: meter,
  source,
  features: {
    n: count().over("10m"),
    sum: sum("watts").over("1h"),
    mean: mean("watts"),
    newest: last("watts"),
    median: quantile("watts", 0.5),
  },
});

let root: string;
let spillFolder: string;
let engine: QueryEngine;
let files: EventFiles;
let settings: { readonly threads: number; readonly spillFolder: string };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-fold-apart-"));
  engine = await openDuckDb({ threads: 1 });
  const archive = await openEventArchive(openOfflineStore(join(root, "offline"), engine), engine, source);
  const random = new SeededRandom(SEED);
  const events = Array.from({ length: EVENTS }, (_, offset): ArchivedEvent => {
    const knownTime = 1e15 + offset * 1e6;
    const eventTime = knownTime - random.integer(0, 100) * 1e6;
    const meterId = random.oneIn(50) ? null : `m${random.integer(1, 900)}`;
    const watts = random.oneIn(9) ? null : random.integer(-50, 500);
    return { offset, eventTime, knownTime, id: null, row: [meterId, eventTime, watts] };
  });
  await appendLive(archive, events);
  files = await archive.files();
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(async () => {
  spillFolder = await mkdtemp(join(root, "spill-"));
  settings = { threads: 1, spillFolder };
});

function request(more: Partial<ArchiveFoldRequest> = {}): ArchiveFoldRequest {
  const fold = compileViewFold(definition, source, meter);
  const view = { definition, fold };
  return { source, view, files, upTo: EVENTS - 100, start: null, partBytesMax: 20_000, ...more };
}

/** Whatever else runs on this machine: those that are not starved, and what is done to `told`. */
function starting(told: (child: StartedProcess, isIdle: boolean, starve: () => void) => void = () => {}): StartProcess {
  return (program, yielding) => {
    let starve = (): void => undefined;
    const child = { ...startHere(program, yielding), onStarved: (hear: () => void) => void (starve = hear) };
    told(child, yielding?.isIdle === true, () => starve());
    return child;
  };
}

async function all(parts: AsyncIterable<FoldedPart>): Promise<FoldedPart[]> {
  const taken: FoldedPart[] = [];
  for await (const part of parts) taken.push(part);
  return taken;
}

describe("events folded in a process of its own", () => {
  it(`come to the parts that folding them here gives, from the beginning and from any place (seed ${SEED})`, async () => {
    const here = await all(foldArchiveWith(engine)(request()));
    expect(here.length).toBeGreaterThan(10);
    expect(here.at(-1)!.counts).toMatchObject({ events: EVENTS - 100, entities: 900 });
    expect(here.flatMap(({ letters }) => letters).length).toBeGreaterThan(100);
    expect(await all(foldArchiveApart(meter, settings, starting())(request()))).toEqual(here);

    const start = here[4]!.place;
    const rest = await all(foldArchiveApart(meter, settings, starting())(request({ start })));
    expect(rest).toEqual(await all(foldArchiveWith(engine)(request({ start }))));
    expect(rest[0]!.states).toEqual(here[5]!.states);
    expect(await readdir(spillFolder)).toEqual([]);
    expect(childrenOf(process.pid)).toEqual([]);
  });

  it("wait until they are taken, and say how far they are meanwhile", async () => {
    const done: number[] = [];
    const fold = foldArchiveApart(meter, settings, starting());
    const parts = fold(request({ onEvents: (events) => done.push(events) }));
    await parts.next();
    const [pid] = childrenOf(process.pid);
    if (process.platform === "linux") {
      expect(getPriority(pid!)).toBe(Math.min(19, getPriority() + 10));
      expect(schedulingClassOf(pid!)).toBe(IDLE_CLASS);
    }
    await parts.return!();
    expect(isAlive(pid!)).toBe(false);
    expect(done.every((events) => events < EVENTS / 2)).toBe(true);
    expect(await readdir(spillFolder)).toEqual([]);
  });

  it("are an error where the process is killed, or the work is cancelled", async () => {
    const killed = foldArchiveApart(meter, settings, starting())(request());
    await killed.next();
    process.kill(childrenOf(process.pid)[0]!, "SIGKILL");
    expect(await codeOf(all(killed))).toBe("ENGINE_ENDED");

    const cancelling = new AbortController();
    const cancelled = foldArchiveApart(meter, settings, starting())(request({ signal: cancelling.signal }));
    await cancelled.next();
    cancelling.abort();
    expect(await codeOf(all(cancelled))).toBe("CANCELLED");
    expect(
      await codeOf(all(foldArchiveApart(meter, settings, starting())(request({ signal: cancelling.signal })))),
    ).toBe("CANCELLED");

    const missing = { ...files, live: files.live.map((file) => ({ ...file, path: `${file.path}.gone` })) };
    expect(await codeOf(all(foldArchiveApart(meter, settings, starting())(request({ files: missing }))))).not.toBe(
      "ENGINE_ENDED",
    );
    expect(childrenOf(process.pid)).toEqual([]);
    expect(await readdir(spillFolder)).toEqual([]);
  });

  it("are folded to the end by another, which is not idle, where one that is idle is left no core", async () => {
    const here = await all(foldArchiveWith(engine)(request()));
    const begun: boolean[] = [];
    let starveFirst = (): void => undefined;
    const start = starting((_, isIdle, starve) => {
      if (begun.push(isIdle) === 1) starveFirst = starve;
    });
    const parts = foldArchiveApart(meter, settings, start)(request());
    const taken = [(await parts.next()).value, (await parts.next()).value];
    starveFirst();
    taken.push(...(await all(parts)));
    expect(taken).toEqual(here);
    expect(begun).toEqual([true, false]);

    // At once, too, before it has begun.
    begun.length = 0;
    const atOnce = all(foldArchiveApart(meter, settings, start)(request()));
    await expect.poll(() => begun.length).toBe(1);
    starveFirst();
    expect(await atOnce).toEqual(here);
    expect(begun).toEqual([true, false]);
    await expect.poll(() => [readdirSync(spillFolder), childrenOf(process.pid)]).toEqual([[], []]);
  });

  it("are those of views that are plain data", () => {
    expect(canFoldApart(definition, source)).toBe(true);
    const [first, ...others] = definition.features;
    const odd = { ...first!, aggregation: { ...first!.aggregation, add: () => 1 } };
    expect(canFoldApart({ ...definition, features: [odd, ...others] } as typeof definition, source)).toBe(false);
  });
});
