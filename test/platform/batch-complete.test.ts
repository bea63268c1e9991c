/** Up to when label rows may lie, for whoever trains beside the process that reads a batch source. */
import { cp, mkdir, mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { batch, count, entity, service, sum, t, view } from "../../src/index.ts";
import { readBatchState } from "../../src/ingest/batch/batch-state.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? firstSeed());
const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

let folder: string;
let dataDir: string;
let clock: ReplayClock;
let platform: Platform;

const rider = entity("rider", { rider_id: t.string() });
function definitionsIn(place: string) {
  const refunds = batch("refunds", {
    columns: { rider_id: t.string(), at: t.timestamp(), amount: t.int64() },
    eventTime: "at",
    format: "csv",
    location: join(place, "refunds", "*.csv"),
  });
  const refunded = view("refunded", { entity: rider, source: refunds, features: { n: count(), all: sum("amount") } });
  return [rider, refunds, refunded, service("model", { features: [refunded] })];
}

const options = () => ({ dataDir, definitions: definitionsIn(folder), clock, alerts: false }) as const;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-complete-"));
  await mkdir(join(folder, "refunds"));
  dataDir = join(folder, "data");
  clock = new ReplayClock(START);
  platform = await openPlatform(options());
  await platform.apply(definitionsIn(folder));
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

let files = 0;
async function refund(amount: number, more = ""): Promise<string> {
  const path = join(folder, "refunds", `${++files}.csv`);
  const at = formatMicros((clock.now() - 60 * MINUTE) as Micros);
  await writeFile(path, `rider_id,at,amount\nana,${at},${amount}\n${more}`);
  return path;
}

const run = () => platform.runBatch("refunds");
const after = (minutes: number): void => clock.advanceTo((clock.now() + minutes * MINUTE) as Micros);

/** Goes on with what is on disk now, by another clock; nothing is being written. */
async function crash(now: number): Promise<void> {
  const left = join(folder, `data-${++files}`);
  await cp(dataDir, left, { recursive: true, filter: (path) => !path.endsWith("lock") });
  await platform.close();
  dataDir = left;
  clock = new ReplayClock(now as Micros);
  platform = await openPlatform(options());
}

/** What a training set beside this process has of a label at this time. */
async function trainedBeside(at: number): Promise<{ readonly values: unknown[]; readonly logEnd: string | null }> {
  const labels = join(folder, "labels.csv");
  await writeFile(labels, `rider_id,event_timestamp\nana,${formatMicros(at as Micros)}\n`);
  const beside = await openPlatform({ ...options(), mode: "read" });
  try {
    const set = await beside.train({ service: "model", labels, boundary: "inclusive" });
    return { values: set.columns.map((column) => column.value(0)), logEnd: set.manifest.sources[0]!.logEnd };
  } finally {
    await beside.close();
  }
}

describe("what is labelled beside the process that reads a batch source", () => {
  it("may lie before its last run that succeeded, whether or not that brought rows, and not behind", async () => {
    after(1);
    await refund(5);
    await run();
    await platform.settle();
    const first = clock.now();
    expect((await trainedBeside(first)).values).toEqual([1, 5]);
    after(30);
    await expect(trainedBeside(first + 10 * MINUTE)).rejects.toMatchObject({ code: "SPINE_AFTER_LOG" });

    expect(await run()).toMatchObject({ status: "succeeded", rows: 0 });
    const second = clock.now();
    expect(await trainedBeside(second - 1)).toEqual({ values: [1, 5], logEnd: formatMicros((second - 1) as Micros) });
    await expect(trainedBeside(second)).rejects.toMatchObject({ code: "SPINE_AFTER_LOG" });

    // One that failed says nothing.
    after(30);
    const broken = await refund(1, '"');
    await writeFile(broken, "no such columns\n1\n");
    await expect(run()).rejects.toMatchObject({ code: "FILE_COLUMN_MISSING" });
    await expect(trainedBeside(second)).rejects.toMatchObject({ code: "SPINE_AFTER_LOG" });
  });

  it("sees nothing of rows that come later, though the clock was set back and the process killed", async () => {
    after(1);
    await refund(5);
    await run();
    await platform.settle();
    after(60);
    await run();
    const mark = clock.now() - 1;
    expect((await trainedBeside(mark)).values).toEqual([1, 5]);

    await crash(START + 10 * MINUTE);
    await refund(7);
    expect(await run()).toMatchObject({ accepted: 1 });
    await platform.settle();
    expect((await trainedBeside(mark)).values).toEqual([1, 5]);
  });

  it("waits for the archive to have what is known by then", async () => {
    after(1);
    await refund(5);
    await run();
    after(1);
    await run();
    const { complete } = await readBatchState(dataDir, "refunds");
    expect(complete).toEqual({ upTo: clock.now() - 1, position: 1 });
    // Whether or not it was archived meanwhile.
    const before = await trainedBeside(clock.now() - 1).then(
      ({ values }) => values,
      ({ code }: { readonly code: string }) => code,
    );
    expect(["SPINE_AFTER_LOG", [1, 5]]).toContainEqual(before);
    await platform.settle();
    expect((await trainedBeside(clock.now() - 1)).values).toEqual([1, 5]);
  });

  it(`is never another once it was given out (seed ${SEED})`, { timeout: 300_000 }, async () => {
    const random = new SeededRandom(SEED);
    const given: { readonly at: number; readonly values: unknown[] }[] = [];
    // What was given out is the oracle: no row that comes later may change it.
    const steps: Readonly<Record<string, () => Promise<unknown>>> = {
      refund: () => refund(random.integer(1, 9)),
      run: () => run(),
      fail: async () => {
        const path = await refund(1);
        await writeFile(path, "no such columns\n1\n");
        await run().catch(() => undefined);
        await unlink(path);
      },
      archive: () => platform.settle(),
      wait: async () => after(random.integer(1, 20)),
      restart: async () => {
        await platform.close();
        clock = new ReplayClock((clock.now() + random.integer(-30, 30) * MINUTE) as Micros);
        platform = await openPlatform(options());
      },
      crash: async () => {
        await platform.settle();
        await run();
        await crash(clock.now() - random.integer(0, 30) * MINUTE);
      },
      train: async () => {
        const { complete } = await readBatchState(dataDir, "refunds");
        if (complete === null) return;
        const at = complete.upTo - random.integer(0, 3) * MINUTE;
        const trained = await trainedBeside(at).catch(() => null);
        if (trained !== null) given.push({ at, values: trained.values });
      },
    };
    const names = ["refund", "run", "run", "fail", "archive", "wait", "wait", "restart", "crash", "train", "train"];
    for (let i = 0; i < 80; i++) await steps[random.pick(names)]!();
    await platform.settle();
    expect(given.length).toBeGreaterThan(0);
    for (const { at, values } of given)
      expect((await trainedBeside(at)).values, formatMicros(at as Micros)).toEqual(values);
  });
});
