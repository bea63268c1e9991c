/**
 * Late events where it is hardest: at, just before and just after the first and last times of merged buckets, and
 * read where a window's edge lies at, just before and just after them. Held against the naive oracle.
 */
import { expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { planView } from "../../src/fold/view-plan.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import { count, decayedSum, entity, first, firstK, last, lastK, max, stream, sum, t, view } from "../../src/index.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
const START = 1_767_225_600 * SECOND;
const FIRST_SEED = Math.floor(Math.random() * 2 ** 31);

const source = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.int64() },
  eventTime: "at",
});
const user = entity("user", { user: t.string() });

function viewWith(options: { readonly forgetAfter?: "1h" }) {
  return view("late", {
    version: 1,
    entity: user,
    source,
    exactEvents: 2,
    ...options,
    features: {
      count_1h: count().over("1h"),
      sum_10m: sum("amount").over("10m"),
      max_1h: max("amount").over("1h"),
      first_1h: first("amount").over("1h"),
      last_1h: last("amount").over("1h"),
      first_3_1h: firstK("amount", 3).over("1h"),
      last_3_1h: lastK("amount", 3).over("1h"),
      decayed_1h: decayedSum("amount", { halfLife: "10m" }).over("1h"),
      first: first("amount"),
      last: last("amount"),
      last_2: sum("amount").over({ last: 2 }),
      events: count(),
    },
  });
}

/** One fold and its oracle, fed the same events. */
class Pair {
  readonly #view: ReturnType<typeof viewWith>;
  readonly #fold;
  readonly #oracle: NaiveOracle;
  readonly #read;
  readonly #state;
  #offset = 0;
  knownTime = START;
  /** Reads whose window began later than asked, because a merged bucket straddles its edge. */
  shifted = 0;

  constructor(options: { readonly forgetAfter?: "1h" } = {}) {
    this.#view = viewWith(options);
    this.#fold = compileViewFold(this.#view, source, user);
    this.#oracle = new NaiveOracle(this.#view, source);
    this.#read = createReadBuffer(this.#fold.features.length);
    this.#state = this.#fold.empty();
  }

  add(eventTime: number): void {
    this.knownTime = Math.max(this.knownTime, eventTime);
    const offset = this.#offset++;
    const event = {
      offset,
      eventTime: eventTime as Micros,
      knownTime: this.knownTime as Micros,
      row: ["u", eventTime, offset % 97],
    };
    expect(this.#fold.fold(this.#state, event).kind).toBe("folded");
    this.#oracle.add(event);
  }

  check(asOf: number, where: string): void {
    this.#fold.read(this.#state, asOf as Micros, this.#read);
    for (const [i, { name, aggregation }] of this.#view.features.entries()) {
      const { over } = aggregation;
      const start = over?.kind === "time" ? this.#read.windowStarts[i]! : undefined;
      if (start !== undefined && over?.kind === "time") {
        const later = start - (asOf - over.micros);
        expect(later, `${where}, ${name}`).toBeGreaterThanOrEqual(0);
        expect(later * 60, `${where}, ${name}`).toBeLessThan(over.micros);
        if (later > 0) this.shifted++;
      }
      const { value, tolerance } = this.#oracle.read(i, asOf, start);
      const found = this.#read.values[i]!;
      if (typeof value === "number" && tolerance > 0) {
        expect(Math.abs((found as number) - value), `${where}, ${name} at ${asOf}`).toBeLessThanOrEqual(tolerance);
      } else expect(found, `${where}, ${name} at ${asOf}`).toEqual(value);
    }
  }

  /** First and last times of the merged buckets. */
  edges(): number[] {
    const { numbers } = this.#state.list.buckets;
    const { stride } = planView(this.#view, source, user).state.list;
    return Array.from({ length: this.#state.list.bucketCount }, (_, i) => [
      numbers[i * stride]!,
      numbers[i * stride + 1]!,
    ]).flat();
  }
}

it("land in their bucket, and count at every window's edge, to the microsecond", () => {
  let shifted = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 5; seed++) {
    const random = new SeededRandom(seed);
    const pair = new Pair();
    for (let i = 0; i < 400; i++) pair.add(pair.knownTime + random.pick([0, SECOND, 7 * SECOND, 20 * SECOND]));
    expect(pair.edges().length).toBeGreaterThan(20);
    for (let late = 0; late < 60; late++) {
      const edge = random.pick(pair.edges());
      pair.add(edge + random.pick([-1, 0, 0, 1]));
      // Some more on time, so that compaction runs in between.
      for (let i = random.integer(0, 4); i > 0; i--) pair.add(pair.knownTime + random.integer(0, SECOND));
      for (const window of [HOUR, HOUR / 6]) {
        const asOf = random.pick(pair.edges()) + window + random.pick([-1, 0, 1]);
        if (asOf >= pair.knownTime) pair.check(asOf, `seed ${seed}`);
      }
      pair.check(pair.knownTime, `seed ${seed}`);
    }
    shifted += pair.shifted;
  }
  expect(shifted).toBeGreaterThan(0);
});

it("older than every window count only where there is none; equal times go by offset", () => {
  const pair = new Pair();
  for (let i = 0; i < 200; i++) pair.add(START + i * 30 * SECOND);
  for (const age of [HOUR - 1, HOUR, HOUR + 1, 3 * HOUR, 1000 * HOUR]) {
    const time = pair.knownTime - age;
    for (let twin = 0; twin < 3; twin++) pair.add(time);
    for (const later of [-1, 0, 1]) pair.check(Math.max(pair.knownTime, time + HOUR + later), `age ${age}`);
  }
});

it("make nothing be forgotten, and count though all from before a gap was", () => {
  const pair = new Pair({ forgetAfter: "1h" });
  pair.add(START);
  // However late, an event is no sign that time has passed.
  for (const age of [1, HOUR, HOUR + 1, 50 * HOUR]) pair.add(START - age);
  pair.check(START, "late behind forgetAfter");
  pair.add(START + HOUR);
  pair.check(START + HOUR, "a gap of just forgetAfter");
  pair.add(START + 2 * HOUR + 1);
  pair.check(START + 2 * HOUR + 1, "a longer gap");
  pair.add(START + HOUR);
  pair.check(START + 2 * HOUR + 1, "late, from before the gap");
});
