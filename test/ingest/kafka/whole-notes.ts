/** What workers tell of how far they have come, held against the topics and the states as they are. */
import { expect } from "vitest";
import { compileDoor } from "../../../src/ingest/door.ts";
import type { Route, SourceRoutes } from "../../../src/ingest/kafka/routes.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { readWholeNote, wholeMetaName } from "../../../src/ingest/kafka/whole-until.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import type { SimulatedTopics } from "./simulated-topics.ts";

/** Clocks of those who route differ by less from the true one. */
const SKEW_MICROS = 2_000_000;

export interface Told {
  readonly store: OnlineStore;
  readonly topics: SimulatedTopics;
  readonly plan: SourceRoutes;
  readonly sourcePartitions: number;
  readonly partitions: number;
}

async function untilOf({ store }: Told, topic: string, partition: number): Promise<number> {
  const { metas } = await store.read([], [wholeMetaName(topic, partition)]);
  return readWholeNote(metas[0] ?? null)?.until ?? Number.NEGATIVE_INFINITY;
}

/** Every record that came so long before is routed, refused or known to be a duplicate. Resolves with how many did. */
export async function expectRouted(told: Told, isDone: (place: string) => boolean, seed: number): Promise<number> {
  const { topics, plan, sourcePartitions } = told;
  let before = 0;
  for (let partition = 0; partition < sourcePartitions; partition++) {
    const until = (await untilOf(told, plan.topic, partition)) - SKEW_MICROS;
    for (const { offset, timestampMs } of topics.of(plan.topic, partition)) {
      if (timestampMs * 1000 >= until) continue;
      before++;
      expect(isDone(`${partition}/${offset}`), `seed ${seed}: ${plan.topic}/${partition} at ${offset}`).toBe(true);
    }
  }
  return before;
}

/** Every event that became known so long before is in the states. Resolves with how many there were. */
export async function expectKnownFolded(told: Told, seed: number): Promise<number> {
  let before = 0;
  for (const route of told.plan.routes) {
    for (let partition = 0; partition < told.partitions; partition++) {
      const { metas } = await told.store.read([], [wholeMetaName(route.topic, partition)]);
      // One router may have told how far it came, and another, whose clock is behind, stamped the events.
      const until = (readWholeNote(metas[0] ?? null)?.known ?? Number.NEGATIVE_INFINITY) - 2 * SKEW_MICROS;
      let knownTime = Number.NEGATIVE_INFINITY;
      const known = told.topics.of(route.topic, partition).filter(({ headers }) => {
        knownTime = Math.max(knownTime, Number(headers().get("onefold-known-time")!.toString()));
        return knownTime < until;
      });
      await expectInStates(told, route, known, seed);
      before += known.length;
    }
  }
  return before;
}

/** Every record that came so long before is in the states. Resolves with how many did. */
export async function expectFolded(told: Told, seed: number): Promise<number> {
  let before = 0;
  for (const route of told.plan.routes) {
    for (let partition = 0; partition < told.partitions; partition++) {
      before += await expectFoldedPartition(told, route, partition, seed);
    }
  }
  return before;
}

async function expectFoldedPartition(told: Told, route: Route, partition: number, seed: number): Promise<number> {
  const until = (await untilOf(told, route.topic, partition)) - SKEW_MICROS;
  const came = told.topics.of(route.topic, partition).filter(({ timestampMs }) => timestampMs * 1000 < until);
  await expectInStates(told, route, came, seed);
  return came.length;
}

async function expectInStates(
  { store, plan }: Told,
  route: Route,
  came: ReturnType<SimulatedTopics["of"]>,
  seed: number,
): Promise<void> {
  const door = compileDoor(plan.source, route.views, { isSecond: true });
  const origins = new Set<string>();
  for (const { fold, ...view } of route.views) {
    origins.clear();
    const states = new Map<string, ReturnType<typeof fold.empty>>();
    for (const { offset, value, headers } of came) {
      const origin = headers().get("onefold-origin")!.toString();
      const stamp = Number(headers().get("onefold-known-time")!.toString());
      if (origins.has(origin)) continue;
      origins.add(origin);
      let checked;
      try {
        checked = door.check(JSON.parse(value!.toString()), stamp as never);
      } catch {
        continue;
      }
      const key = fold.keyOf(checked.row);
      const state = states.get(key) ?? fold.empty();
      states.set(key, state);
      fold.fold(state, { ...checked, offset, knownTime: stamp as never });
    }
    for (const [key, { lastOffset }] of states) {
      const stored = (await store.read([{ space: spaceOf({ fold, ...view }), key }])).states[0] ?? null;
      const storedOffset = stored?.offset ?? Number.NEGATIVE_INFINITY;
      expect(storedOffset, `seed ${seed}: ${view.name} of ${key}`).toBeGreaterThanOrEqual(lastOffset);
    }
  }
}
