/**
 * How many rows of a training set have a window that began later than asked: what the oracle counts, of features and of what
 * is computed from them, however the set is made. Runs what is built, as threads start a program of it.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type FoldEvent } from "../../src/fold/view-fold.ts";
import {
  col,
  count,
  countSessions,
  entity,
  log1p,
  mean,
  onDemand,
  service,
  standardize,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { encodeVectorToken } from "../../src/schema/vector-token.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { FeatureParts } from "../../src/training/feature-parts.ts";
import type { FittedService } from "../../src/registry/fitted-service.ts";
import { fitService } from "../../src/training/fit-service.ts";
import type { TrainingSet, train as trainFunction, TrainRequest } from "../../src/training/training-set.ts";
import { firstSeed } from "../first-seed.ts";
import { minute, TrainingWorld, type WorldEvent } from "./training-world.ts";
import { WindowOracle } from "./window-oracle.ts";

const SEED = firstSeed();
const EVENTS = 3500;
const LABELS = 17_000;
const SERVED = 2000;
const MINUTES = 2400;
const USERS = 12;
const DIST = fileURLToPath(new URL("../../dist/training/training-set.js", import.meta.url));
const { train } = (await import(pathToFileURL(DIST).href)) as { readonly train: typeof trainFunction };

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
});
const spending = view("spending", {
  version: 1,
  entity: user,
  source: payments,
  exactEvents: 3,
  features: {
    n_5m: count().over("5m"),
    n_6h: count().over("6h"),
    sum_1d: sum("amount").over("1d"),
    large_1d: count().over("1d").where(col("amount").gt(90)),
    fresh_6h: mean("amount").over("6h").ttl("20m"),
    visit: count().over({ session: "90m", max: "3h" }),
    visits_1d: countSessions({ gap: "30m" }).over("1d"),
    newest: sum("amount").over({ last: 5 }),
    all: count(),
  },
});
/** Each of its outputs is made from both inputs, as far as anybody knows. */
const pace = onDemand("pace", {
  inputs: [spending.pick("n_6h", "sum_1d")],
  request: { limit: t.float64() },
  outputs: { share: t.float64(), is_over: t.bool() },
  compute: ({ n_6h, sum_1d, limit }) => ({ share: n_6h / (1 + (sum_1d ?? 0)), is_over: (sum_1d ?? 0) > limit }),
});
const asked = onDemand("asked", {
  inputs: [],
  request: { limit: t.float64() },
  outputs: { twice: t.float64() },
  compute: ({ limit }) => ({ twice: 2 * limit }),
});
const plain = service("plain", { features: [spending] });
const computed = service("computed", { features: [spending.pick("n_6h", "visit", "all"), pace, asked] });
const fitted = service("fitted", {
  features: [spending.pick("n_5m", "sum_1d"), pace],
  transform: { sum_1d: standardize("sum_1d"), n_log: log1p("n_5m"), share_z: standardize("share") },
});
const definitions = [user, payments, spending, pace, asked, plain, computed, fitted];

interface Label {
  readonly user: string;
  readonly t: Micros;
}

/** By feature of the view, a byte a label. */
type Later = ReadonlyMap<string, Uint8Array>;

describe(`windows that began later than asked (seed ${SEED})`, () => {
  const random = new SeededRandom(SEED);
  let world: TrainingWorld;
  let labels: readonly Label[];
  let labelFile: string;
  let folded: readonly (FoldEvent & { readonly user: string })[];
  let later: Later;
  const fits: FittedService[] = [];
  let sets = 0;

  const build = async (request: Partial<TrainRequest> = {}): Promise<TrainingSet> => {
    const out = world.path(`set-${sets++}.parquet`);
    return train({
      ports: world.ports,
      service: ["plain", "computed", "fitted"],
      labels: { path: labelFile },
      boundary: "inclusive",
      allowAfterLog: true,
      out,
      ...request,
    });
  };

  beforeAll(async () => {
    world = await TrainingWorld.open(definitions);
    const events = randomPayments(random);
    const half = events.length / 2;
    const all = [
      ...(await world.history("payments", events.slice(0, half))),
      ...(await world.live("payments", events.slice(half))),
    ];
    folded = all.map((event) => ({ ...event, user: event.row[0] as string }));
    labels = Array.from({ length: LABELS }, () => ({ user: userOf(random), t: minute(random.next() * MINUTES) }));
    labelFile = await world.parquet(
      [
        { name: "user_id", type: { name: "string" } },
        { name: "t", type: { name: "timestamp" } },
        { name: "limit", type: { name: "float64" } },
      ],
      labels.map((label): Value[] => [label.user, label.t, 50]),
    );
    later = laterByOracle(labels, folded, ({ knownTime }) => knownTime);
    for (const share of [0.5, 1]) {
      const fit = {
        labels: { path: labelFile },
        split: { share },
        boundary: "inclusive",
        allowAfterLog: true,
      } as const;
      fits.push(await fitService({ ports: world.ports, service: "fitted", ...fit }));
    }
  }, 240_000);
  afterAll(() => world.close());

  it("are counted as the oracle counts them, of what is computed in rows in which any input's did", async () => {
    const counts = countsOf(await build({ threads: 1 }));
    expect(counts).toEqual(expectedOf(later));
    for (const feature of ["n_6h", "sum_1d", "large_1d", "fresh_6h", "visit", "visits_1d"])
      expect(rowsOf(later, feature), feature).toBeGreaterThan(20);
    expect(counts["share_z"]).toBeGreaterThan(Math.max(rowsOf(later, "n_6h"), rowsOf(later, "sum_1d")));
  });

  it("are the same on threads, in parts, and in parts that were gone on with", { timeout: 240_000 }, async () => {
    const expected = expectedOf(later);
    expect(countsOf(await build({ threads: 3 }))).toEqual(expected);
    expect(countsOf(await build({ threads: 2, resume: true }))).toEqual(expected);
    const controller = new AbortController();
    const out = world.path("resumed.parquet");
    const ended = build({
      out,
      threads: 2,
      resume: true,
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (phase === "events" && done > LABELS / 2) controller.abort();
      },
    });
    await expect(ended).rejects.toMatchObject({ code: "CANCELLED" });
    expect((await readdir(`${out}.parts`)).some((name) => /^\d+-\d+\.json$/.test(name))).toBe(true);
    expect(countsOf(await build({ out, resume: true }))).toEqual(expected);
    const manifest = JSON.parse(await readFile(`${out}.manifest.json`, "utf8")) as TrainingSet["manifest"];
    expect(countsOf({ manifest })).toEqual(expected);
  });

  it("are counted with final knowledge as of what is known in the end", { timeout: 240_000 }, async () => {
    const effective = ({ eventTime, knownTime }: FoldEvent): number => Math.min(eventTime, knownTime);
    const inOrder = folded.toSorted((a, b) => effective(a) - effective(b) || a.offset - b.offset);
    const final = laterByOracle(
      labels,
      inOrder.map((event, offset) => {
        const time = effective(event) as Micros;
        return { ...event, offset, eventTime: time, knownTime: time };
      }),
      effective,
    );
    const counts = countsOf(await build({ knowledge: "final" }));
    expect(counts).toEqual(expectedOf(final));
    expect(counts).not.toEqual(expectedOf(later));
  });

  it("are counted of rows as served at what their tokens say, and by the window alone", async () => {
    const served = labels.slice(0, SERVED);
    const tokens = served.map(({ user: of, t: asOf }, i) => {
      const seen = folded.findLast((event) => event.user === of && event.knownTime <= asOf);
      const fallback = random.oneIn(3) ? { fallback: random.pick(["null", "default"] as const) } : {};
      const read = { view: "spending@1", epoch: 0, lastOffset: seen?.offset ?? null, ...fallback };
      return { plain: { asOf, reads: [read] }, fitted: { asOf, reads: [read], fit: fits[i % 2]! } };
    });
    const string = { name: "string" } as const;
    const names = ["user_id", "plain_token", "computed_token", "fitted_token"];
    const path = await world.parquet(
      [...names.map((name) => ({ name, type: string })), { name: "limit", type: { name: "float64" } }],
      served.map((label, i): Value[] => [
        label.user,
        encodeVectorToken(tokens[i]!.plain),
        encodeVectorToken(tokens[i]!.plain),
        encodeVectorToken(tokens[i]!.fitted),
        50,
      ]),
    );
    const first = new Map([...later].map(([name, flags]) => [name, flags.subarray(0, SERVED)]));
    const set = await build({ knowledge: "as-served", labels: { path } });
    expect(countsOf(set)).toEqual(expectedOf(first));
    expect(set.manifest.services[2]!.fits.map(({ rows }) => rows)).toEqual([SERVED / 2, SERVED / 2]);
  });
});

it("throws away parts that do not say it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "onefold-old-parts-"));
  const world = await TrainingWorld.open(definitions);
  try {
    const parts = join(folder, "set.parquet.parts");
    await mkdir(parts);
    // As the first format had it: pieces of 2048 labels, four a part.
    const sha256 = createHash("sha256").update(JSON.stringify([2048, 4, 10, {}]));
    await writeFile(join(parts, "work.json"), JSON.stringify({ sha256: sha256.digest("hex") }));
    await writeFile(join(parts, "0-0.json"), "{}");
    await FeatureParts.open(world.engine, parts, 10, {});
    expect(existsSync(join(parts, "0-0.json"))).toBe(false);
  } finally {
    await world.close();
    await rm(folder, { recursive: true, force: true });
  }
});

/** `events` in the order in which they are folded; `place` is what a label's time bounds, and rises with it. */
function laterByOracle(
  labels: readonly Label[],
  events: readonly (FoldEvent & { readonly user: string })[],
  place: (event: FoldEvent) => number,
): Later {
  const fold = compileViewFold(spending, payments, user);
  const read = createReadBuffer(fold.features.length);
  const flags = fold.features.map(() => new Uint8Array(labels.length));
  for (const name of new Set(labels.map((label) => label.user))) {
    const oracle = new WindowOracle(spending, payments);
    const state = fold.empty();
    const own = events.filter((event) => event.user === name);
    const rows = [...labels.keys()].filter((row) => labels[row]!.user === name);
    let next = 0;
    for (const row of rows.sort((a, b) => labels[a]!.t - labels[b]!.t)) {
      const { t: asOf } = labels[row]!;
      for (; next < own.length && place(own[next]!) <= asOf; next++) {
        oracle.add(own[next]!);
        fold.fold(state, own[next]!);
      }
      fold.read(state, asOf, read);
      for (const [slot, of] of flags.entries())
        of[row] = Number(oracle.beganLater(slot, asOf, read.windowStarts[slot]!));
    }
  }
  return new Map(fold.features.map(({ name }, slot) => [name, flags[slot]!]));
}

/** In how many rows that is so of any of these features. */
function rowsOf(later: Later, ...features: readonly string[]): number {
  const flags = features.map((name) => later.get(name)!);
  return flags[0]!.reduce((sum, _, row) => sum + Number(flags.some((of) => of[row] === 1)), 0);
}

function expectedOf(later: Later): Record<string, number> {
  const of = (...features: readonly string[]): number => rowsOf(later, ...features);
  return {
    plain__n_5m: of("n_5m"),
    plain__n_6h: of("n_6h"),
    plain__sum_1d: of("sum_1d"),
    large_1d: of("large_1d"),
    fresh_6h: of("fresh_6h"),
    plain__visit: of("visit"),
    visits_1d: of("visits_1d"),
    newest: 0,
    plain__all: 0,
    computed__n_6h: of("n_6h"),
    computed__visit: of("visit"),
    computed__all: 0,
    computed__share: of("n_6h", "sum_1d"),
    computed__is_over: of("n_6h", "sum_1d"),
    twice: 0,
    fitted__n_5m: of("n_5m"),
    fitted__sum_1d: of("sum_1d"),
    fitted__share: of("n_6h", "sum_1d"),
    fitted__is_over: of("n_6h", "sum_1d"),
    n_log: of("n_5m"),
    share_z: of("n_6h", "sum_1d"),
  };
}

function countsOf({ manifest }: Pick<TrainingSet, "manifest">): Record<string, number> {
  return Object.fromEntries(manifest.features.map(({ name, rowsWithLaterWindow }) => [name, rowsWithLaterWindow]));
}

function userOf(random: SeededRandom): string {
  // Some have most of the events.
  return `u${Math.floor(random.next() ** 2 * USERS)}`;
}

function randomPayments(random: SeededRandom): WorldEvent[] {
  const times = Array.from({ length: EVENTS }, () => random.next() * MINUTES).sort((a, b) => a - b);
  return times.map((knownAt): WorldEvent => {
    const eventTime = minute(random.oneIn(5) ? knownAt - random.next() * 300 : knownAt);
    return { eventTime, knownTime: minute(knownAt), row: [userOf(random), eventTime, random.next() * 100] };
  });
}
