/** An entity forgotten: nothing of it is left on disk, and of all others everything is as it was, to the bit. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, last, service, stream, sum, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
/** Found nowhere by chance. */
const GONE = "ada-4b1c9e";
const OTHERS = ["bob", "cy"];

const user = entity("user", { user: t.string() });
const visits = stream("visits", {
  columns: { id: t.string(), user: t.string(), page: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
  id: "id",
  require: {},
});
const byUser = view("by_user", {
  version: 1,
  entity: user,
  source: visits,
  features: { n: count(), total: sum("amount"), recent: sum("amount").over("10m"), page: last("page") },
});
const model = service("model", { features: [byUser] });
const definitions = [user, visits, byUser, model];

class World {
  readonly folder: string;
  readonly clock = new ReplayClock(START);
  readonly random = new SeededRandom(11);
  platform!: Platform;
  /** Of the first event of the one that goes, in history. */
  goneId: string | undefined;
  #next = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  async open(): Promise<void> {
    this.platform = await openPlatform({
      dataDir: this.folder,
      definitions,
      clock: this.clock,
      servingLogSampleRate: 1,
      driftSampleRate: 1,
    });
    await this.platform.apply(definitions);
  }

  row(name: string, at: number = this.clock.now()) {
    const id = `p-${this.#next++}`;
    if (name === GONE) this.goneId ??= id;
    const amount = this.random.integer(0, 99) / 4;
    return { id, user: name, page: `page of ${name}`, amount, at: formatMicros(at as Micros) };
  }

  /** History in two epochs, live events, corrections, letters and served vectors, of all of them. */
  async fill(): Promise<void> {
    const { platform, clock, random } = this;
    const files: string[] = [];
    for (const minutes of [40, 30]) {
      const rows = Array.from({ length: 20 }, (_, i) =>
        this.row(random.pick([GONE, ...OTHERS]), START - minutes * MINUTE + i),
      );
      const path = join(this.folder, "..", `history-${minutes}.ndjson`);
      await writeFile(path, rows.map((one) => JSON.stringify(one)).join("\n"));
      files.unshift(path);
    }
    for (const file of files) await platform.importHistory("visits", [file]);
    const ids: string[] = [];
    for (let round = 0; round < 12; round++) {
      clock.advanceTo((clock.now() + 40_000_000) as Micros);
      const rows = Array.from({ length: 4 }, () => this.row(random.pick([GONE, GONE, ...OTHERS])));
      await platform.push("visits", rows);
      ids.push(...rows.map(({ id }) => id));
      if (round % 4 === 3) {
        const id = random.pick(ids);
        await platform.correct("visits", [
          { op: "retract", id: random.pick(ids) },
          // The id goes on as another's: what took it from the first owner goes with that one alone.
          { op: "replace", id, event: { ...this.row(random.pick([GONE, ...OTHERS])), id } },
        ]);
      }
      await platform.push("visits", [
        { ...this.row(GONE), amount: "much" },
        { ...this.row("bob"), amount: "much" },
      ]);
      for (const name of [GONE, ...OTHERS]) await platform.vector("model", { user: name });
    }
    clock.advanceTo((clock.now() + 5 * MINUTE) as Micros);
    await platform.settle();
    await platform.checks.quality.updateProfiles(1);
  }

  /** What a writer of its tables has left that was killed before its commit. */
  async leaveUnnamed(): Promise<void> {
    const names = await readdir(join(this.folder, "offline"), { recursive: true, withFileTypes: true });
    for (const { name, parentPath } of names) {
      if (!name.endsWith(".parquet") || parentPath.endsWith("_delta_log")) continue;
      await cp(join(parentPath, name), join(parentPath, `left-${name}`));
    }
  }

  /** All that others can tell of. */
  async others(): Promise<unknown> {
    const { platform, folder } = this;
    const labels = join(folder, "..", "labels.csv");
    const rows = OTHERS.flatMap((name) =>
      Array.from(
        { length: 30 },
        (_, i) => `${name},${formatMicros((START - 41 * MINUTE + i * 100_000_003) as Micros)}`,
      ),
    );
    await writeFile(labels, ["user,t", ...rows].join("\n"));
    const asked = { service: "model", labels, boundary: "inclusive", allowAfterLog: true } as const;
    const sets = await Promise.all([platform.train(asked), platform.train({ ...asked, knowledge: "final" })]);
    const events = await platform.offlineRows("events/visits", "_offset");
    const features = await platform.offlineRows("features/by_user@1", "_minute, user");
    const letters = await platform.deadLetters().list({ source: "visits", limit: 1000 });
    return {
      states: [...platform.exportStates("by_user")].flatMap(({ key, bytes }) =>
        key === GONE ? [] : [[key, [...bytes]]],
      ),
      sets: sets.map(({ columns }) =>
        columns.map((one) => [one.name, ...Array.from({ length: 60 }, (_, i) => one.value(i))]),
      ),
      events: events.filter((row) => row["user"] !== GONE && row["user"] !== null),
      features: features.filter((row) => row["user"] !== GONE),
      letters: letters.filter((one) => !JSON.stringify(one).includes(GONE)),
    };
  }

  /** Files that name it, and rows of it in any Parquet file that stands there. The pages that LMDB has freed aside. */
  async traces(): Promise<string[]> {
    const names = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
    const found = files.filter((path) => !path.includes("/online/") && readFileSync(path).includes(GONE));
    const engine = await openDuckDb();
    for (const kind of ["events", "features"]) {
      const parquet = files.filter(
        (path) => path.includes(`/offline/${kind}/`) && path.endsWith(".parquet") && !path.includes("_delta_log"),
      );
      const list = parquet.map((path) => `'${path}'`).join(", ");
      const rows = await engine.rows(
        `SELECT filename FROM read_parquet([${list}], union_by_name = true, filename = true) WHERE "user" = '${GONE}'`,
      );
      found.push(...rows.map((row) => String(row["filename"])));
    }
    const profiles = files.filter((path) => path.includes("/monitor/quality/"));
    for (const path of profiles) {
      const rows = await engine.rows(`SELECT 1 FROM read_parquet('${path}') WHERE contains(sketch, '${GONE}')`);
      if (rows.length > 0) found.push(path);
    }
    await engine.close();
    return found;
  }
}

function contentsOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const paths = entries.map((one) => join(one.parentPath, one.name)).sort();
  return paths.map((path) => `${path} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`);
}

describe("an entity that is forgotten", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-forgetting-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it(
    "leaves no trace, and everything of the others as it was, wherever it was cut short",
    { timeout: 300_000 },
    async () => {
      const world = new World(join(folder, "world"));
      await world.open();
      await world.fill();
      expect((await world.traces()).length).toBeGreaterThan(5);
      expect((await world.traces()).some((path) => path.includes("/monitor/drift/model/"))).toBe(true);
      const before = await world.others();
      const untouched = join(folder, "before");
      await world.platform.close();
      await world.leaveUnnamed();
      await cp(world.folder, untouched, { recursive: true });
      await world.open();

      const folders = ["log", "offline", "dead-letters", "serving-log", "monitor/quality"];
      const written = (): string[] => folders.flatMap((name) => contentsOf(join(world.folder, name)));
      const bytes = written();
      const preview = await world.platform.previewForgetting("user", [GONE]);
      expect(written()).toEqual(bytes);
      expect(preview).toMatchObject({ entity: "user", key: GONE, sources: ["visits"] });
      const places = new Map(preview.places.map(({ where, what, ...size }) => [`${where} ${what}`, size]));
      const countOf = (name: string): number | null => places.get(name)!.count;
      const report = await world.platform.forget("user", [GONE]);
      // History is in the table alone, of two epochs; events of the log in both.
      expect(countOf("log/visits events")).toBeGreaterThan(20);
      expect(countOf("log/visits events")).toBeLessThan(report.events);
      expect(countOf("offline/events/visits rows")).toBeGreaterThan(report.events + report.retractions);
      expect(countOf("online states on visits")).toBe(report.states);
      expect(countOf("offline/features/by_user@1 rows")).toBe(report.featureRows);
      expect(countOf("dead-letters/visits dead letters")).toBe(report.deadLetters);
      expect(countOf("serving-log served vectors")).toBe(report.servedVectors);
      for (const where of ["monitor/quality profiles", "monitor/drift/model sketches of values"])
        expect(places.get(where)!.bytes, where).toBeGreaterThan(0);
      for (const [name, size] of places) if (size.bytes !== null) expect(size.bytes, name).toBeGreaterThan(0);
      const none = (await world.platform.previewForgetting("user", [GONE])).places;
      expect(none.filter(({ where }) => !where.startsWith("monitor/"))).toEqual([]);
      expect(report).toMatchObject({
        entity: "user",
        key: GONE,
        sources: ["visits"],
        states: 1,
        deadLetters: 12,
        servedVectors: 12,
      });
      expect(report.events).toBeGreaterThan(20);
      expect(report.featureRows).toBeGreaterThan(2);
      expect(await world.traces()).toEqual([]);
      expect(await world.others()).toEqual(before);
      expect((await world.platform.vector("model", { user: GONE })).features).toMatchObject({ n: 0, total: null });
      expect(await world.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0 });
      await world.platform.close();

      // Each part is changed only once those before it are: a crash leaves the parts behind as they were.
      const parts = ["online", "log", "offline", "dead-letters", "serving-log"];
      for (const [i] of parts.entries()) {
        for (const part of parts.slice(i)) {
          await rm(join(world.folder, part), { recursive: true });
          await cp(join(untouched, part), join(world.folder, part), { recursive: true });
        }
        await writeFile(join(world.folder, "forget.json"), JSON.stringify({ entity: "user", key: GONE }));
        await world.open();
        expect([parts[i], await world.traces()]).toEqual([parts[i], []]);
        expect(await world.others()).toEqual(before);
        expect(await world.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0 });
        await world.platform.close();
      }

      // It may come again, under an id that it had, and begins anew.
      await world.open();
      const again = { id: world.goneId!, user: GONE, page: "p", amount: 2, at: formatMicros(world.clock.now()) };
      expect(await world.platform.push("visits", [again])).toMatchObject({ accepted: 1 });
      expect((await world.platform.vector("model", { user: GONE })).features).toMatchObject({ n: 1, total: 2 });
      await world.platform.close();
    },
  );

  it("keeps the folder closed where the note of it cannot be read, and goes on once it can", async () => {
    const dataDir = join(folder, "unreadable");
    const open = () => openPlatform({ dataDir, definitions });
    const first = await open();
    await first.apply(definitions);
    await first.push("visits", [
      { id: "1", user: GONE, page: "p", amount: 1, at: formatMicros(START) },
      { id: "2", user: "bob", page: "p", amount: 1, at: formatMicros(START) },
    ]);
    await first.close();
    const note = join(dataDir, "forget.json");
    for (const text of ['{"entity":"user","key', '{"entity":"user"}', "null", "[]"]) {
      await writeFile(note, text);
      await expect(open()).rejects.toMatchObject({ code: "FORGET_UNREADABLE", where: note });
    }
    await rm(note);
    await mkdir(note);
    await expect(open()).rejects.toMatchObject({ code: "FORGET_UNREADABLE", where: note });
    await rm(note, { recursive: true });
    await writeFile(note, JSON.stringify({ entity: "user", key: GONE }));
    const platform = await open();
    expect([...platform.exportStates("by_user")].map(({ key }) => key)).toEqual(["bob"]);
    expect(await readdir(dataDir)).not.toContain("forget.json");
    await platform.close();
  });

  it("is refused where its events are folded for others, or there is no such entity", async () => {
    const page = entity("page", { page: t.string() });
    const byPage = view("by_page", { version: 1, entity: page, source: visits, features: { visits: count() } });
    const platform = await openPlatform({ dataDir: join(folder, "shared") });
    try {
      await platform.apply([user, visits, byUser, page, byPage]);
      await expect(platform.forget("user", ["bob"])).rejects.toMatchObject({
        code: "FORGET_SHARED",
        where: "by_page@1",
      });
      await expect(platform.forget("nobody", ["bob"])).rejects.toMatchObject({ code: "ENTITY_UNKNOWN" });
      await expect(platform.forget("user", ["bob", "b"])).rejects.toMatchObject({ code: "KEY_MISSING" });
      for (const places of [true, false]) {
        const preview = (...of: [string, string[]]) => platform.previewForgetting(...of, { places });
        await expect(preview("user", ["bob"])).rejects.toMatchObject({ code: "FORGET_SHARED", where: "by_page@1" });
        await expect(preview("nobody", ["bob"])).rejects.toMatchObject({ code: "ENTITY_UNKNOWN" });
        await expect(preview("user", ["bob", "b"])).rejects.toMatchObject({ code: "KEY_MISSING" });
      }
      expect(await readdir(join(folder, "shared"))).not.toContain("forget.json");
    } finally {
      await platform.close();
    }
  });
});
