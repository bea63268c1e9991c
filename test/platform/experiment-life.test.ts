/**
 * An experiment's life under load: ramped from 0 to 50%, its candidate promoted and rolled back. No request fails, no unit
 * moves back, each version's states are those of one that ran alone, and what was served can be trained on, bit for bit.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { POINTS } from "../../src/define/experiment-layout.ts";
import { unitPoint } from "../../src/define/unit-assignment.ts";
import { count, entity, experiment, last, mean, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { exposureLabels } from "../../src/platform/experiments/exposure-labels.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const USERS = 400;
const READERS = 4;

const user = entity("user", { user: t.string() });
const rides = stream("rides", {
  columns: { user: t.string(), at: t.timestamp(), minutes: t.float64() },
  eventTime: "at",
});
const first = view("habits", {
  version: 1,
  entity: user,
  source: rides,
  features: { rides_1h: count().over("1h"), minutes_1h: mean("minutes").over("1h") },
});
const second = view("habits", {
  version: 2,
  entity: user,
  source: rides,
  features: { rides_1d: count().over("1d"), minutes_1d: sum("minutes").over("1d"), last_minutes: last("minutes") },
});
const control = service("delay", { features: [first] });
const candidate = service("delay", { version: 2, features: [first.pick("rides_1h"), second] });
const test = experiment("delay_v2", { service: [control, candidate], weights: [100, 0], unit: user });
const definitions: readonly Definition[] = [user, rides, first, second, control, candidate, test];

const folders: string[] = [];
const platforms: Platform[] = [];

beforeEach(() => {
  folders.length = 0;
  platforms.length = 0;
});

afterEach(async () => {
  for (const platform of platforms) await platform.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function open(clock?: ReplayClock): Promise<Platform> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-"));
  folders.push(folder);
  const platform = await openPlatform({ dataDir: folder, ...(clock === undefined ? {} : { clock }) });
  platforms.push(platform);
  return platform;
}

interface Answer {
  readonly unit: string;
  /** Asked for by the experiment's name, or by the service's. */
  readonly name: string;
  readonly service: string;
  readonly variant: string | undefined;
  readonly token: string;
  readonly features: Readonly<Record<string, unknown>>;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** Requests one behind the other for users of its own, so that the answers to each have an order. */
class Reader {
  readonly answers: Answer[] = [];
  readonly faults: string[] = [];
  readonly #url: string;
  readonly #random: SeededRandom;
  readonly #users: readonly string[];
  readonly #running: Promise<void>;
  #isEnded = false;

  constructor(url: string, place: number) {
    this.#url = url;
    this.#random = new SeededRandom(SEED + place);
    this.#users = Array.from({ length: USERS / READERS }, (_, i) => `u${place + READERS * i}`);
    this.#running = this.#run();
  }

  end(): Promise<void> {
    this.#isEnded = true;
    return this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isEnded) {
      const unit = this.#users[this.#random.integer(0, this.#users.length - 1)]!;
      await this.#ask("delay_v2", unit);
      await this.#ask("delay", unit);
    }
  }

  async #ask(name: string, unit: string): Promise<void> {
    const beganMs = performance.now();
    try {
      const response = await fetch(`${this.#url}/services/${name}/vector`, {
        method: "POST",
        body: JSON.stringify({ entities: { user: unit }, token: true }),
        headers: { "content-type": "application/json" },
      });
      const {
        service: served,
        features,
        metadata,
      } = (await response.json()) as {
        readonly service: string;
        readonly features: Answer["features"];
        readonly metadata: { readonly token: string; readonly variant?: string };
      };
      if (response.status !== 200) this.faults.push(`status ${response.status}`);
      const { token, variant } = metadata;
      this.answers.push({ unit, name, service: served, variant, token, features, beganMs, endedMs: performance.now() });
    } catch (error) {
      this.faults.push(String(error));
    }
  }
}

/** Pushes rides until it is ended. */
function pushing(platform: Platform): { end(): Promise<number> } {
  const random = new SeededRandom(SEED);
  const ends = new AbortController();
  let pushed = 0;
  const running = (async () => {
    while (!ends.signal.aborted) {
      const rows = Array.from({ length: random.integer(1, 20) }, () => ({
        user: `u${random.integer(0, USERS - 1)}`,
        at: formatMicros((platform.clock.now() - random.integer(0, 3_600_000_000)) as Micros),
        minutes: random.integer(1, 900) / 10,
      }));
      pushed += (await platform.push("rides", rows)).accepted;
      await sleep(10);
    }
  })();
  return {
    end: async () => {
      ends.abort();
      await running;
      return pushed;
    },
  };
}

function grouped(answers: readonly Answer[], by: (answer: Answer) => string): Map<string, Answer[]> {
  const groups = new Map<string, Answer[]>();
  for (const answer of answers) groups.set(by(answer), [...(groups.get(by(answer)) ?? []), answer]);
  return groups;
}

function statesOf(platform: Platform, version: number): Map<string, string> {
  return new Map(
    [...platform.exportStates("habits", version)].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

/** A platform that has one version alone and folds the same events, known at the same times. */
async function aloneWith(version: typeof first | typeof second, of: Platform): Promise<Map<string, string>> {
  const events = await of.offlineRows("events/rides", "_offset");
  const clock = new ReplayClock(events[0]!["_known_time"] as Micros);
  const platform = await open(clock);
  await platform.apply([user, rides, version]);
  // What became known at one time came in one push, in the order of its rows.
  for (let at = 0; at < events.length;) {
    const known = events[at]!["_known_time"];
    const end = events.findIndex((event, i) => i > at && event["_known_time"] !== known);
    const rows = events.slice(at, end < 0 ? events.length : end);
    clock.advanceTo(known as Micros);
    await platform.push(
      "rides",
      rows.map(({ user: who, at: when, minutes }) => ({ user: who, at: formatMicros(when as Micros), minutes })),
    );
    at += rows.length;
  }
  await platform.settle();
  return statesOf(platform, version.version as number);
}

it(`is ramped, promoted and rolled back under load (seed ${SEED})`, { timeout: 170_000 }, async () => {
  const platform = await open();
  await platform.apply(definitions);
  await platform.versions.promote("delay@1", { by: "ada" });
  const server = await platform.serve({ port: 0 });
  const writer = pushing(platform);
  const readers = Array.from({ length: READERS }, (_, place) => new Reader(server.url, place));
  const answered = (): number => readers.reduce((all, { answers }) => all + answers.length, 0);
  /** Until so many more answers are there, however slow the machine is. */
  const more = async (answers: number): Promise<void> => {
    const wanted = answered() + answers;
    while (answered() < wanted && readers.every(({ faults }) => faults.length === 0)) await sleep(10);
  };

  await more(300);
  for (const weights of [
    [95, 5],
    [80, 20],
    [50, 50],
  ]) {
    await platform.experiments.ramp("delay_v2", { weights, by: "ada" });
    await more(300);
    await expect(platform.experiments.ramp("delay_v2", { weights: [99, 1], by: "bob" })).rejects.toMatchObject({
      code: "EXPERIMENT_BACKWARD",
    });
  }
  const promotingMs = performance.now();
  await platform.versions.promote("delay@2", { by: "ada" });
  const promotedMs = performance.now();
  await more(400);
  const rollingMs = performance.now();
  await platform.versions.rollback("delay", { by: "ada" });
  const rolledMs = performance.now();
  await more(400);
  await Promise.all(readers.map((reader) => reader.end()));
  const pushed = await writer.end();
  await server.close();
  await platform.settle();

  expect(readers.flatMap(({ faults }) => faults)).toEqual([]);
  const answers = readers.flatMap((reader) => reader.answers);

  // No unit moved back, and those that are in it at last are those of the lower half of the points.
  const exposed = answers.filter(({ name }) => name === "delay_v2");
  const byUnit = grouped(exposed, ({ unit }) => unit);
  for (const seen of byUnit.values()) {
    const firstOfCandidate = seen.findIndex(({ variant }) => variant === "delay@2");
    if (firstOfCandidate < 0) continue;
    expect(new Set(seen.slice(firstOfCandidate).map(({ variant }) => variant))).toEqual(new Set(["delay@2"]));
  }
  for (const { unit, variant, beganMs } of exposed) {
    if (beganMs < promotingMs) continue;
    expect(variant).toBe(unitPoint("delay_v2", unit) < POINTS / 2 ? "delay@2" : "delay@1");
  }
  expect(new Set(exposed.map(({ variant }) => variant))).toEqual(new Set(["delay@1", "delay@2"]));

  // The service's own name follows its alias, and its answers are of one version wholly.
  for (const { name, features, beganMs, endedMs } of answers) {
    if (name !== "delay") continue;
    const names = Object.keys(features).join();
    expect(["rides_1h,minutes_1h", "rides_1h,rides_1d,minutes_1d,last_minutes"]).toContain(names);
    const isSecond = names.includes("rides_1d");
    if (endedMs < promotingMs || beganMs > rolledMs) expect(isSecond).toBe(false);
    if (beganMs > promotedMs && endedMs < rollingMs) expect(isSecond).toBe(true);
  }

  // Each version's states are those of one that ran alone.
  expect(pushed).toBeGreaterThan(0);
  for (const version of [first, second]) {
    expect(statesOf(platform, version.version as number)).toEqual(await aloneWith(version, platform));
  }

  // All that was served can be computed again, and trained on by variant.
  const audit = await platform.audit({ states: true });
  expect(audit).toMatchObject({ clean: true, missing: 0, mismatched: 0 });
  expect(audit.vectors).toBeGreaterThanOrEqual(exposed.length);
  for (const variant of ["delay@1", "delay@2"]) {
    const mine = exposed.filter((answer) => answer.variant === variant);
    const path = join(folders[0]!, `${variant}.ndjson`);
    const request = await exposureLabels(platform, { experiment: "delay_v2", variant, path });
    const set = await platform.train(request);
    expect(set.rowCount).toBe(mine.length);
    const rows = (await readFile(path, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { token: string });
    const served = grouped(mine, ({ token }) => token);
    rows.forEach(({ token }, row) => {
      const [answer] = served.get(token)!;
      expect(Object.fromEntries(set.columns.map((column) => [column.name, column.value(row)]))).toEqual(
        answer!.features,
      );
    });
  }

  // Also once the experiment is gone: its name is given to no other.
  await platform.experiments.stop("delay_v2", { serve: "delay@1", by: "ada" });
  await platform.versions.retire("delay_v2", { by: "ada" });
  await platform.apply(definitions);
  expect(platform.registry.experiments()).toEqual([]);
  const path = join(folders[0]!, "retired.ndjson");
  await exposureLabels(platform, { experiment: "delay_v2", variant: "delay@2", path });
  expect(await readFile(path, "utf8")).toBe(await readFile(join(folders[0]!, "delay@2.ndjson"), "utf8"));
});
