/**
 * Late events where it is hardest: at, just before and just after the first and last times of merged buckets, and
 * read where a window's edge lies at, just before and just after them. Held against the naive oracle.
 */
import { expect, it } from "vitest";
import { SeededRandom } from "../../src/testing/random.ts";
import { HOUR, Pair, SECOND, START } from "./late-pair.ts";
import { firstSeed } from "../first-seed.ts";

const FIRST_SEED = firstSeed();

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
