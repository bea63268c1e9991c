/**
 * The ring of kept answers beside a map that keeps everything: what it finds is right, and it finds what it has room
 * for. That answers are what a read gives is `test/platform/kept-answers.test.ts`.
 */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { ChangeCounts } from "../../src/online-store/change-counts.ts";
import type { EntityKey } from "../../src/schema/entity-key.ts";
import { type Asked, KeptAnswers, type MadeAnswer, newAnswerSpace } from "../../src/serve/kept-answers.ts";
import type { VectorPlan } from "../../src/serve/vector-plan.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const spaces = [newAnswerSpace(), newAnswerSpace()];

interface World {
  readonly plan: VectorPlan;
  readonly changes: readonly ChangeCounts[];
}

/** So many views share a count as `sharing` says. */
function worldOf(views: number, statuses: readonly number[] = [0], sharing = 1): World {
  const counts = Array.from({ length: Math.ceil(views / sharing) }, () => new ChangeCounts());
  const changes = Array.from({ length: views }, (_, i) => counts[Math.floor(i / sharing)]!);
  const plan = {
    vector: { statuses },
    views: changes.map((each) => ({ entity: 0, view: { changes: each } })),
  } as unknown as VectorPlan;
  return { plan, changes };
}

function askedFor(space: number, text: string): Asked {
  // Somewhere in what came.
  return { space, bytes: Buffer.from(`..${text}.`, "latin1"), start: 2, end: 2 + text.length };
}

const at = (micros: number): Micros => micros as Micros;
const shown = (kept: KeptAnswers, asked: Asked, now: number): string | null => {
  const found = kept.find(asked, { now: () => at(now) });
  return found === null ? null : found.bytes.toString("latin1", found.start, found.end);
};

/** Somewhere in what was written, with something in it that is left out. */
function madeOf(answer: string, note: number, split: number): MadeAnswer {
  const bytes = Buffer.from(`..${answer.slice(0, split)}left out${answer.slice(split)}.`, "latin1");
  return { bytes, start: 2, end: bytes.length - 1, split: 2 + split, splitEnd: 2 + split + "left out".length, note };
}

function keep(
  kept: KeptAnswers,
  { plan }: World,
  text: string,
  answer: string,
  until = Number.POSITIVE_INFINITY,
): void {
  const read = { plan, keys: [text as EntityKey], asOf: at(1), until };
  kept.keep(askedFor(spaces[0]!, text), read, madeOf(answer, 7, 2));
}

describe("kept answers", () => {
  it(`are those of a map, or none (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const worlds = [worldOf(1), worldOf(3, [0, 1, 2]), worldOf(10, [3]), worldOf(7, [4], 3)];
    for (const bytesMax of [8000, 40_000, 400_000]) {
      const kept = new KeptAnswers(bytesMax);
      const model = new Map<string, { answer: string; world: World; from: number; until: number }>();
      let now = 1;
      let hits = 0;
      for (let step = 0; step < 20_000; step++) {
        const key = `k${random.integer(0, 60)}`;
        const space = random.pick(spaces);
        const id = `${space} ${key}`;
        switch (random.integer(0, 5)) {
          case 0: {
            const world = random.pick(worlds);
            const answer = "x".repeat(random.integer(0, 200)) + step;
            const until = random.oneIn(3) ? now + random.integer(0, 30) : Number.POSITIVE_INFINITY;
            const read = { plan: world.plan, keys: [key as EntityKey], asOf: at(now), until };
            kept.keep(askedFor(space, key), read, madeOf(answer, step, random.integer(0, answer.length)));
            if (until > now) model.set(id, { answer, world, from: now, until });
            break;
          }
          case 1: {
            const world = random.pick(worlds);
            random.pick(world.changes).changed(key as EntityKey);
            for (const [other, entry] of model)
              if (entry.world === world && other.endsWith(` ${key}`)) model.delete(other);
            break;
          }
          case 2:
            // Now and then a clock that is set back.
            now += random.oneIn(20) ? -random.integer(0, 5) : random.integer(0, 3);
            break;
          default: {
            const found = shown(kept, askedFor(space, key), now);
            if (found === null) break;
            hits++;
            const expected = model.get(id);
            expect(expected?.answer, `step ${step}`).toBe(found);
            expect(now).toBeGreaterThanOrEqual(expected!.from);
            expect(now).toBeLessThan(expected!.until);
          }
        }
        if (random.oneIn(3000)) {
          kept.clear();
          model.clear();
        }
      }
      expect(hits).toBeGreaterThan(bytesMax < 10_000 ? 10 : 500);
    }
  });

  it("are all found while there is room, with what was kept beside them", () => {
    const kept = new KeptAnswers(1_000_000);
    const world = worldOf(2, [0, 2]);
    for (let i = 0; i < 1000; i++) keep(kept, world, `k${i}`, `answer ${i}`);
    for (let i = 0; i < 1000; i++) {
      const found = kept.find(askedFor(spaces[0]!, `k${i}`), { now: () => at(9) })!;
      expect(found.bytes.toString("latin1", found.start, found.end)).toBe(`answer ${i}`);
      expect([found.asOf, found.plan, found.statuses, found.note, found.split - found.start]).toEqual([
        9,
        world.plan,
        [0, 2],
        7,
        2,
      ]);
    }
    expect(shown(kept, askedFor(spaces[1]!, "k1"), 9)).toBeNull();
    expect(shown(kept, askedFor(spaces[0]!, "k1000"), 9)).toBeNull();
  });

  it("that change again and again take no room from those that stand", () => {
    const kept = new KeptAnswers(20_000);
    const world = worldOf(1);
    keep(kept, world, "steady", "stands");
    for (let i = 0; i < 1000; i++) {
      keep(kept, world, "hot", `changes ${i % 10}`);
      world.changes[0]!.changed("hot" as EntityKey);
    }
    expect(shown(kept, askedFor(spaces[0]!, "steady"), 2)).toBe("stands");
    // Those that do take room still push the oldest out.
    for (let i = 0; i < 1000; i++) keep(kept, world, `u${i}`, "takes room");
    expect(shown(kept, askedFor(spaces[0]!, "steady"), 2)).toBeNull();
    expect(shown(kept, askedFor(spaces[0]!, "u999"), 2)).toBe("takes room");
  });

  it("are none where no change would be told of, or nothing is to be kept", () => {
    const untold = { vector: { statuses: [0] }, views: [{ entity: 0, view: {} }] } as unknown as VectorPlan;
    const kept = new KeptAnswers(20_000);
    keep(kept, { plan: untold, changes: [] }, "k", "answer");
    keep(kept, worldOf(1), "expired", "answer", 1);
    keep(kept, worldOf(1), "large", "x".repeat(2000));
    const none = new KeptAnswers(0);
    keep(none, worldOf(1), "k", "answer");
    for (const key of ["k", "expired", "large"]) expect(shown(kept, askedFor(spaces[0]!, key), 1)).toBeNull();
    expect(shown(none, askedFor(spaces[0]!, "k"), 1)).toBeNull();
  });

  it("take no room where it is not known how often their states have changed", () => {
    const kept = new KeptAnswers(20_000);
    const [world, unsure] = [worldOf(1), worldOf(1)];
    unsure.changes[0]!.of = () => Number.NaN;
    for (let i = 0; i < 20; i++) keep(kept, world, `k${i}`, "answer");
    for (let i = 0; i < 5000; i++) keep(kept, unsure, `u${i}`, "answer");
    const found = Array.from({ length: 20 }, (_, i) => shown(kept, askedFor(spaces[0]!, `k${i}`), 1));
    expect(found).toEqual(Array.from({ length: 20 }, () => "answer"));
  });

  it("hold on to a bounded number of plans, however many are asked for", async () => {
    const kept = new KeptAnswers(20_000);
    const { plan, changes } = worldOf(1);
    const plans: WeakRef<VectorPlan>[] = [];
    for (let i = 0; i < 5000; i++) {
      const world = { plan: { ...plan }, changes };
      plans.push(new WeakRef(world.plan));
      keep(kept, world, `k${i}`, "answer");
      expect(shown(kept, askedFor(spaces[0]!, `k${i}`), 2)).toBe("answer");
    }
    await setImmediate();
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    expect(plans.filter((plan) => plan.deref() !== undefined).length).toBeLessThan(1100);
    expect(shown(kept, askedFor(spaces[0]!, "k4999"), 2)).toBe("answer");
  });

  it("are all let go when every state has changed", () => {
    const kept = new KeptAnswers(20_000);
    const world = worldOf(2);
    for (let i = 0; i < 20; i++) keep(kept, world, `k${i}`, "answer");
    world.changes[1]!.allChanged();
    for (let i = 0; i < 20; i++) expect(shown(kept, askedFor(spaces[0]!, `k${i}`), 2)).toBeNull();
  });
});
