/**
 * Training sets in pieces: on threads, in little memory, in parts on disk, ended and gone on with. Whatever is chosen, the
 * file is the same to the byte. Runs what is built, as threads start a program of it.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lockFolder } from "../../src/base/folder-lock.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { Status } from "../../src/fold/view-fold.ts";
import { custom, entity, onDemand, service, stream, t, view } from "../../src/index.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import type { openJoinPool } from "../../src/training/join-threads.ts";
import type { train as trainFunction, TrainRequest } from "../../src/training/training-set.ts";
import { airportFlights, definitions, flight, flights, route, routeFlights } from "./flights.ts";
import { minute, rowsOf, TrainingWorld, type WorldEvent } from "./training-world.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 1);
const LABELS = 20_000;
const EVENTS = 30_000;
const MINUTES = 5000;
/** Of which a quarter is less than the label rows take. */
const LITTLE_BYTES = 24_000_000;
const DIST = fileURLToPath(new URL("../../dist/training/training-set.js", import.meta.url));
const { train } = (await import(pathToFileURL(DIST).href)) as { readonly train: typeof trainFunction };

describe(`a training set in pieces (seed ${SEED})`, () => {
  let world: TrainingWorld;
  let labels: string;
  let expected: { readonly sha256: string; readonly views: unknown; readonly features: unknown };
  let sets = 0;

  const build = async (limits: Partial<TrainRequest>): Promise<typeof expected> => {
    const out = world.path(`${sets++}.parquet`);
    const set = await train({
      ports: world.ports,
      service: "model",
      labels: { path: labels },
      out,
      boundary: "inclusive",
      withStatuses: true,
      ...limits,
    });
    const { views, features } = set.manifest;
    const sha256 = createHash("sha256")
      .update(await readFile(limits.out ?? out))
      .digest("hex");
    return { sha256, views, features };
  };

  beforeAll(async () => {
    const random = new SeededRandom(SEED);
    world = await TrainingWorld.open(definitions);
    const events = randomFlights(random);
    const half = events.length / 2;
    await world.history("flights", events.slice(0, half));
    await world.live("flights", events.slice(half));
    const rows = Array.from({ length: LABELS }, (): Value[] => [
      airport(random),
      airport(random),
      minute(random.next() * MINUTES),
    ]);
    labels = await world.parquet(
      [
        { name: "origin", type: { name: "string" } },
        { name: "destination", type: { name: "string" } },
        { name: "t", type: { name: "timestamp" } },
      ],
      rows,
    );
    expected = await build({ threads: 1 });
  }, 240_000);
  afterAll(() => world.close());

  it.each([2, 3, 5])("is the same, byte for byte, on %i threads", { timeout: 240_000 }, async (threads) => {
    expect(await build({ threads })).toEqual(expected);
  });

  it("is the same in little memory, where neither labels nor features are held", { timeout: 240_000 }, async () => {
    const spillFolder = await mkdtemp(join(tmpdir(), "onefold-spill-test-"));
    try {
      let parts: readonly string[] = [];
      const onProgress: TrainRequest["onProgress"] = ({ phase }) => {
        if (phase === "writing" && parts.length === 0)
          parts = readdirSync(spillFolder, { recursive: true }).filter((name) =>
            String(name).endsWith(".parquet"),
          ) as string[];
      };
      expect(await build({ threads: 2, memoryBytes: LITTLE_BYTES, spillFolder, onProgress })).toEqual(expected);
      // Two views, several parts of each.
      expect(parts.length).toBeGreaterThanOrEqual(4);
      expect(await readdir(spillFolder)).toEqual([]);
    } finally {
      await rm(spillFolder, { recursive: true, force: true });
    }
  });

  it("goes on from finished parts, and from those of the same work alone", { timeout: 240_000 }, async () => {
    const out = world.path("resumed.parquet");
    const parts = `${out}.parts`;
    const controller = new AbortController();
    let labelsBefore: number | null = null;
    const ended = build({
      out,
      threads: 2,
      resume: true,
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (phase === "events" && done > LABELS / 2) controller.abort();
      },
    });
    expect((await codedErrorOf(ended)).code).toBe("CANCELLED");
    expect(existsSync(out)).toBe(false);
    const finished = (await readdir(parts)).filter((name) => /^\d+-\d+\.json$/.test(name));
    expect(finished.length).toBeGreaterThan(0);
    // Of other work: it would throw these away.
    const lock = await lockFolder(parts);
    const refused = await codedErrorOf(build({ out, resume: true, knowledge: "final" }));
    expect(refused).toMatchObject({ code: "STORAGE_LOCKED", where: parts });
    await lock.release();
    // What the machine did not live to write.
    await writeFile(join(parts, "0-99.json"), "");
    // The first that it hears of is what was there.
    const resumed = await build({
      out,
      threads: 1,
      resume: true,
      onProgress: ({ phase, done }) => {
        if (phase === "events") labelsBefore ??= done;
      },
    });
    expect(labelsBefore).toBeGreaterThan(8192);
    expect(resumed).toEqual(expected);
    expect(existsSync(parts)).toBe(false);
  });

  it("throws away parts of other work", { timeout: 240_000 }, async () => {
    const out = world.path("other.parquet");
    const controller = new AbortController();
    const onProgress: TrainRequest["onProgress"] = ({ phase }) => {
      if (phase === "writing") controller.abort();
    };
    const ended = build({ out, resume: true, signal: controller.signal, onProgress });
    expect((await codedErrorOf(ended)).code).toBe("CANCELLED");
    const final = await build({ knowledge: "final" });
    expect(final.sha256).not.toBe(expected.sha256);
    expect(await build({ out, resume: true, knowledge: "final" })).toEqual(final);
  });

  it("leaves nothing behind where it was ended", { timeout: 240_000 }, async () => {
    const spillFolder = await mkdtemp(join(tmpdir(), "onefold-spill-test-"));
    const out = world.path("ended.parquet");
    try {
      for (const phase of ["events", "writing"] as const) {
        const controller = new AbortController();
        const ended = build({
          out,
          threads: 2,
          memoryBytes: LITTLE_BYTES,
          spillFolder,
          signal: controller.signal,
          onProgress: (progress) => {
            if (progress.phase === phase && progress.done > 0) controller.abort();
          },
        });
        expect((await codedErrorOf(ended)).code).toBe("CANCELLED");
      }
      expect((await readdir(world.folder)).filter((name) => name.startsWith("ended"))).toEqual([]);
      expect(await readdir(spillFolder)).toEqual([]);
    } finally {
      await rm(spillFolder, { recursive: true, force: true });
    }
  });
});

it("computes what services make of features and requests in parts as in one piece", { timeout: 240_000 }, async () => {
  const random = new SeededRandom(SEED);
  const ratio = onDemand("ratio", {
    inputs: [routeFlights.pick("delay_sum", "plane", "stops"), airportFlights],
    request: { distance: t.float64(), note: t.string().nullable() },
    outputs: { to_mean: t.float64(), text: t.string(), minute: t.int64() },
    compute: ({ delay_sum, plane, stops, mean_delay, distance, note }, { asOf }) => ({
      to_mean: delay_sum === null || mean_delay === null ? null : (distance * delay_sum) / mean_delay,
      text: `${plane ?? ""}${note ?? ""}${stops?.length ?? ""}`,
      minute: Math.floor(asOf / 60_000_000),
    }),
  });
  const computed = service("computed", { features: [airportFlights, ratio] });
  const world = await TrainingWorld.open([...definitions, ratio, computed]);
  try {
    await world.live("flights", randomFlights(random).slice(0, 3000));
    // More than one chunk of rows that are read back.
    const labels = await world.query(
      `SELECT 'A' || (hash(i) % 9) AS origin, 'A' || (hash(i + 1) % 9) AS destination, i / 7.0::DOUBLE AS distance,
         CASE WHEN i % 5 > 0 THEN 'n' || i % 3 END AS note,
         TIMESTAMPTZ '2026-03-01 00:00:00+00' + to_seconds((hash(i + 2) % 20000)::BIGINT) AS t FROM range(70000) r(i)`,
    );
    const request = {
      ports: world.ports,
      service: ["computed", "model"],
      labels: { path: labels },
      boundary: "inclusive",
    } as const;
    const [whole, parts] = [world.path("whole.parquet"), world.path("parts.parquet")];
    const held = await train({ ...request, out: whole, withStatuses: true });
    const inParts = await train({ ...request, out: parts, withStatuses: true, resume: true, threads: 2 });
    expect((await readFile(parts)).equals(await readFile(whole))).toBe(true);
    expect(inParts.manifest.features).toEqual(held.manifest.features);
    expect(() => inParts.columns).toThrow("not held in memory");
  } finally {
    await world.close();
  }
});

it("folds by itself where it is bundled into another program", { timeout: 240_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "onefold-bundle-"));
  try {
    const outfile = join(folder, "program.mjs");
    const entryPoints = [fileURLToPath(new URL("../../src/training/join-threads.ts", import.meta.url))];
    buildSync({ entryPoints, outfile, bundle: true, platform: "node", format: "esm" });
    const bundled = (await import(pathToFileURL(outfile).href)) as { readonly openJoinPool: typeof openJoinPool };
    const fold = compileViewFold(routeFlights, flights, route);
    const [{ name, type }] = fold.features as [(typeof fold.features)[number]];
    const view = { definition: routeFlights, source: flights, entity: route, fold, bound: "known" } as const;
    const pool = bundled.openJoinPool([{ ...view, features: [{ name, type, slot: 0 }] }], 4);
    const task = pool.open(0, { entity: Int32Array.of(0), limit: Float64Array.of(minute(1)), asOf: null });
    const { columns } = await task.finish();
    expect([...columns[0]!.numbers!, ...columns[0]!.statuses]).toEqual([0, Status.NOT_FOUND]);
    await pool.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("folds views with functions of their own without threads", { timeout: 240_000 }, async () => {
  const account = entity("account", { account: t.string() });
  const visits = stream("visits", {
    columns: { account: t.string(), at: t.timestamp(), page: t.string() },
    eventTime: "at",
  });
  const pages = custom("pages", {
    output: t.string(),
    empty: (): string[] => [],
    add: (state: string[], page: string | null) => [...state, page ?? ""],
    read: (state: string[]) => state.join(">"),
  });
  const walk = view("walk", { version: 1, entity: account, source: visits, features: { path: pages("page") } });
  const world = await TrainingWorld.open([account, visits, walk, service("walks", { features: [walk] })]);
  try {
    await world.live("visits", [
      { eventTime: minute(1), knownTime: minute(1), row: ["a", minute(1), "x"] },
      { eventTime: minute(2), knownTime: minute(2), row: ["a", minute(2), "y"] },
    ]);
    const labels = await world.file("csv", "account,t\na,2026-03-01T00:01:30Z\na,2026-03-01T00:02:00Z\n");
    const set = await train({
      ports: world.ports,
      service: "walks",
      labels: { path: labels },
      boundary: "inclusive",
      threads: 4,
    });
    expect(rowsOf(set)).toEqual([["x"], ["x>y"]]);
  } finally {
    await world.close();
  }
});

function airport(random: SeededRandom): string {
  // Some have most of the flights.
  return `A${Math.floor(random.next() ** 3 * 40)}`;
}

function randomFlights(random: SeededRandom): WorldEvent[] {
  const times = Array.from({ length: EVENTS }, () => random.next() * MINUTES).sort((a, b) => a - b);
  return times.map((knownAt) =>
    flight(airport(random), airport(random), knownAt, random.oneIn(9) ? null : random.next() * 60 - 10, {
      seats: random.integer(0, 300),
      plane: random.oneIn(7) ? null : `N${random.integer(0, 99)} with a long name`,
      cancelled: random.oneIn(5),
      due: minute(random.next() * MINUTES),
      stops: random.pick<Value>([null, [], ["x", null]]),
      ticket: "9223372036854775807",
      seal: Uint8Array.of(random.integer(0, 255)),
      ...(random.oneIn(4) ? { happenedAt: knownAt - random.next() * 100 } : {}),
    }),
  );
}

/** What is thrown here is of the built classes. */
async function codedErrorOf(promise: Promise<unknown>): Promise<{ readonly code: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { readonly code: string };
  }
  throw new Error("nothing was thrown");
}
