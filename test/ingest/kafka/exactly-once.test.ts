/**
 * Routers and folders that crash, come back late and run two at a time, over topics in memory: whatever they do, the
 * store ends with the states, and the dead letters are those, of one fold of the internal topics that nothing disturbs.
 */
import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { compileDoor } from "../../../src/ingest/door.ts";
import type { ViewFold, ViewState } from "../../../src/fold/view-fold.ts";
import type { GroupPosition, TopicPartition } from "../../../src/ingest/kafka/records.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { RouteLoop } from "../../../src/ingest/kafka/route-loop.ts";
import type { NotedOffset } from "../../../src/ingest/kafka/route-position.ts";
import { planRoutes, type Route } from "../../../src/ingest/kafka/routes.ts";
import { Verdicts } from "../../../src/ingest/kafka/verdicts.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type { MetaWrite, OnlineStore, RefusedWrite, StateWrite } from "../../../src/online-store/online-store.ts";
import { MINUTE, payments, randomFrom, SECOND, shop, shopView, START, user, userView } from "../payments.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";
import { SimulatedTopics } from "./simulated-topics.ts";
import { expectFolded, expectKnownFolded, expectRouted, type Told } from "./whole-notes.ts";

const source: StreamDefinition = { ...payments, kafka: { topic: "payments" }, dedupeWithinMicros: 20 * SECOND };
const [plan] = planRoutes([user, shop, source, userView, shopView], "onefold");
/** What workers know that have definitions from before the shop's view, or from when it was away. */
const [planBefore] = planRoutes([user, shop, source, userView], "onefold");
/** A view that comes later, on the same topic as the first. */
const [planLater] = planRoutes([user, shop, source, userView, shopView, { ...userView, version: 2 }], "onefold");
const SOURCE_PARTITIONS = 3;
const PARTITIONS = 2;
const RUNS = Number(process.env["ONEFOLD_RUNS"] ?? 40);

const counts = new Map([
  ["payments", SOURCE_PARTITIONS],
  ...[...plan!.routes, plan!.claims!].map(({ topic }) => [topic, PARTITIONS] as const),
]);
const facts = new Map(
  Array.from(counts, ([name, partitionCount]) => [name, { name, id: `id-${name}`, partitionCount }]),
);

/** A store that fails, or answers late, when it is told to. */
class FaultyStore {
  readonly real: OnlineStore;
  /** Commits that go wrong: before they land, or once they have. */
  fault: "none" | "before" | "after" = "none";
  /** Commits that land only when they are let through. */
  held: (() => void)[] | null = null;
  beforeRead: () => Promise<void> = async () => undefined;

  constructor(real: OnlineStore) {
    this.real = real;
  }

  async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    const { connectionsLost } = this.real;
    if (this.fault === "before") throw new Error("crash");
    if (this.held !== null) await new Promise<void>((resolve) => this.held!.push(resolve));
    if (metas.length > 0 && this.real.connectionsLost !== connectionsLost) throw new Error("lost");
    const refused = await this.real.commit(states, metas);
    if (this.fault === "after") throw new Error("crash");
    return refused;
  }

  asStore(): OnlineStore {
    const { real } = this;
    return {
      get connectionsLost() {
        return real.connectionsLost;
      },
      get servers() {
        return real.servers;
      },
      marks: real.marks && {
        groupOf: (key) => real.marks!.groupOf(key),
        read: (name, groups) => real.marks!.read(name, groups),
        write: async (marks) => {
          const { connectionsLost } = real;
          if (this.held !== null) await new Promise<void>((resolve) => this.held!.push(resolve));
          if (real.connectionsLost !== connectionsLost) throw new Error("lost");
          await real.marks!.write(marks);
        },
      },
      isReplicated: real.isReplicated === undefined ? undefined : () => real.isReplicated!(),
      read: async (states, metas) => {
        await this.beforeRead();
        return real.read(states, metas);
      },
      commit: (states, metas) => this.commit(states, metas),
    } as OnlineStore;
  }
}

/** Its turn is over, with all that it had still to write. */
async function woken(folder: { readonly store: FaultyStore; turn: Promise<unknown> | null }): Promise<void> {
  const turn = { isOver: folder.turn === null };
  void folder.turn?.finally(() => (turn.isOver = true));
  while (!turn.isOver) {
    folder.store.held!.shift()?.();
    for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  folder.turn = null;
  folder.store.held = null;
}

function letterKeys(topics: SimulatedTopics): Set<string> {
  return new Set(topics.of(plan!.deadLetterTopic, 0).map(({ key }) => key!.toString()));
}

/** Of the claims in the topic of ids, what became of each: by its place in the source's topic. */
function judged(topics: SimulatedTopics): Map<string, "has-id" | "duplicate" | "ahead"> {
  const verdicts = new Map<string, "has-id" | "duplicate" | "ahead">();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const ids = new Map<string, number>();
    let known = Number.NEGATIVE_INFINITY;
    for (const { value, headers } of topics.of(plan!.claims!.topic, partition)) {
      const origin = headers().get("onefold-origin")!.toString();
      if (verdicts.has(origin)) continue;
      const stamp = Number(headers().get("onefold-known-time")!.toString());
      const [time, id] = value!.toString().split(" ") as [string, string];
      if (Number(time) > stamp + source.maxFutureMicros) {
        verdicts.set(origin, "ahead");
        continue;
      }
      const knownTime = Math.max(known, stamp);
      const isTaken = (ids.get(id) ?? Number.NEGATIVE_INFINITY) >= knownTime - source.dedupeWithinMicros;
      verdicts.set(origin, isTaken ? "duplicate" : "has-id");
      if (isTaken) continue;
      ids.set(id, knownTime);
      known = knownTime;
    }
  }
  return verdicts;
}

/** Whether a record of the source's topic, named by its place, is on a folded topic, or will never be. */
function whatIsDone(topics: SimulatedTopics): (place: string) => boolean {
  const { topic } = plan!.routes[0]!;
  const routed = [0, 1].flatMap((partition) =>
    topics.of(topic, partition).map(({ headers }) => headers().get("onefold-origin")!.toString()),
  );
  const refused = [...judged(topics)].flatMap(([origin, verdict]) => (verdict === "has-id" ? [] : [origin]));
  const done = new Set([...routed, ...refused].map((origin) => origin.replace("id-payments/", "")));
  const letters = letterKeys(topics);
  return (place) => done.has(place) || letters.has(`id-payments/${place}`);
}

/** An undisturbed fold of what stands in the internal topics: by view and key, and the letters that must be there. */
function expected(
  topics: SimulatedTopics,
  routes: readonly Route[],
): { readonly states: Record<string, string>; readonly letters: Set<string> } {
  const states: Record<string, string> = {};
  const letters = new Set<string>();
  for (const route of routes) {
    const door = compileDoor(source, route.views);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const origins = new Set<string>();
      const open = new Map<string, { readonly fold: ViewFold; readonly state: ViewState }>();
      let known = Number.NEGATIVE_INFINITY;
      for (const record of topics.of(route.topic, partition)) {
        const origin = record.headers().get("onefold-origin")!.toString();
        if (origins.has(origin)) continue;
        origins.add(origin);
        const stamp = Number(record.headers().get("onefold-known-time")!.toString());
        let checked;
        try {
          checked = door.check(JSON.parse(record.value!.toString()), stamp as Micros);
        } catch {
          letters.add(origin);
          continue;
        }
        const knownTime = Math.max(known, stamp) as Micros;
        const key = route.views[0]!.fold.keyOf(checked.row);
        known = knownTime;
        for (const view of route.views) {
          const name = `${view.name} ${key}`;
          const entry = open.get(name) ?? { fold: view.fold, state: view.fold.empty() };
          open.set(name, entry);
          const outcome = entry.fold.fold(entry.state, { ...checked, offset: record.offset, knownTime });
          if (outcome.kind === "poison") letters.add(`${origin}:${view.name}`);
        }
      }
      for (const [name, { fold, state }] of open) {
        if (state.eventCount > 0) states[name] = Buffer.from(fold.encode(state)).toString("hex");
      }
    }
  }
  return { states, letters };
}

async function stored(store: OnlineStore, routes: readonly Route[]): Promise<Record<string, string>> {
  const states: Record<string, string> = {};
  for (const view of routes.flatMap(({ views }) => views)) {
    for await (const { key, bytes } of store.scanStates(spaceOf(view))) {
      states[`${view.name} ${key}`] = Buffer.from(bytes).toString("hex");
    }
  }
  return states;
}

describe("routing and folding without transactions", () => {
  it(`take each event once, whatever crashes, lags or runs twice (${RUNS} runs)`, async () => {
    let copies = 0;
    let late = 0;
    let duplicates = 0;
    let lost = 0;
    let lostInPlace = 0;
    let whole = { routed: 0, folded: 0, known: 0 };
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomFrom(seed);
      const chance = (share: number): boolean => random() < share;
      const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
      const topics = new SimulatedTopics(counts);
      // Every other run is on a cluster, whose nodes lose what their replicas do not have.
      const cluster = seed % 2 === 0 ? new SimulatedCluster(randomFrom(seed + 1_000_000)) : null;
      const real: OnlineStore = cluster ?? new MemoryOnlineStore();
      let areFaultsOver = false;
      const newMarking = () => ({ putEveryMs: chance(0.8) ? 0 : 1, allEveryMs: chance(0.5) ? 0 : 30_000 });
      const newStore = (): FaultyStore => {
        const store = new FaultyStore(real);
        store.beforeRead = async () => {
          if (cluster === null || areFaultsOver || !chance(0.05)) return;
          await (chance(0.5) ? cluster.restart() : cluster.failOver());
        };
        return store;
      };
      let now = START as number;
      const clockOf = (skew: number): { now(): Micros } => ({ now: () => (now + skew) as Micros });
      const committed = new Map<string, NotedOffset>();
      const newRouter = (
        plans = [chance(0.3) ? planBefore! : plan!],
      ): { loop: RouteLoop; fault: { before: boolean } } => {
        const fault = { before: false };
        const seat = {
          commit: async (positions: readonly GroupPosition[]) => {
            if (fault.before) throw new Error("crash");
            for (const { topic, partition, offset, note = null } of positions) {
              committed.set(`${topic}/${partition}`, { offset, note });
            }
          },
          committed: async (all: readonly TopicPartition[]) =>
            all.map(({ topic, partition }) => committed.get(`${topic}/${partition}`) ?? null),
        };
        const skew = Math.floor((random() - 0.5) * 4 * SECOND);
        const loop = new RouteLoop({
          connection: topics,
          clock: clockOf(skew),
          plans,
          topics: facts,
          seat,
          verdicts: new Verdicts(real),
          store: real,
          verdictsMs: 0,
          roundRecords: chance(0.5) ? 1 + Math.floor(random() * 5) : 1000,
        });
        loop.own(Array.from({ length: SOURCE_PARTITIONS }, (_, partition) => ({ topic: "payments", partition })));
        return { loop, fault };
      };
      const newFolder = (
        plans = [chance(0.3) ? planLater! : plan!],
      ): { loop: FoldLoop; store: FaultyStore; turn: Promise<unknown> | null } => {
        const store = newStore();
        const options = { connection: topics, store: store.asStore(), clock: clockOf(0), plans, topics: facts };
        const loop = new FoldLoop({ ...options, marking: newMarking(), statesMax: chance(0.5) ? 4 : 1000 });
        loop.own(plan!.routes.flatMap(({ topic }) => [0, 1].map((partition) => ({ topic, partition }))));
        return { loop, store, turn: null };
      };
      const newJudge = (): { loop: FoldLoop; store: FaultyStore; turn: Promise<unknown> | null } => {
        const store = newStore();
        const options = {
          connection: topics,
          store: store.asStore(),
          clock: clockOf(0),
          plans: [plan!],
          topics: facts,
        };
        const loop = new FoldLoop({ ...options, marking: newMarking(), statesMax: 10, of: "claims" });
        loop.own([0, 1].map((partition) => ({ topic: plan!.claims!.topic, partition })));
        return { loop, store, turn: null };
      };
      const routers = [newRouter(), newRouter()];
      const folders = [newFolder(), newFolder()];
      const judges = [newJudge(), newJudge()];
      let n = 0;
      for (let step = 0; step < 60; step++) {
        now += Math.floor(random() * 2 * SECOND);
        topics.nowMs = now / 1000;
        topics.batchMax = 1 + Math.floor(random() * 12);
        for (let i = Math.floor(random() * 6); i > 0; i--) {
          const sent = {
            id: chance(0.1) ? null : `p${chance(0.25) ? Math.floor(random() * (n + 1)) : n}`,
            user: `u${Math.floor(random() * 3)}`,
            country: pick(["DE", "FR|x"]),
            shop: Math.floor(random() * 2),
            at: new Date((now + (chance(0.05) ? MINUTE * 5 : -random() * SECOND)) / 1000).toISOString(),
            amount: chance(0.1) ? 13 : Math.floor(random() * 100),
          };
          n++;
          const value = Buffer.from(chance(0.05) ? "{" : JSON.stringify(sent));
          const partition = Math.floor(random() * SOURCE_PARTITIONS);
          await topics.send([{ topic: "payments", partition, key: null, value, headers: new Map() }]);
        }
        cluster?.replicate();
        if (step % 7 === seed % 7) await cluster?.failOver();
        if (step % 11 === seed % 11) await cluster?.restart();
        const router = pick(routers);
        router.fault.before = chance(0.2);
        topics.sendFailsAfter = chance(0.2) ? Math.floor(random() * 6) : null;
        await router.loop.turn().catch(() => router.loop.drop());
        topics.sendFailsAfter = null;
        if (chance(0.1)) routers[routers.indexOf(router)] = newRouter();
        for (const all of [folders, judges]) {
          const folder = pick(all);
          if (folder.turn !== null) {
            // It wakes up: what it was about to write lands now, after whatever the other has written.
            late++;
            await woken(folder);
          } else if (chance(0.25)) {
            folder.store.held = [];
            folder.turn = folder.loop.turn().catch(() => folder.loop.drop());
            for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
          } else {
            folder.store.fault = chance(0.15) ? "before" : chance(0.15) ? "after" : "none";
            await folder.loop.turn().catch(() => folder.loop.drop());
          }
          if (folder.turn === null && chance(0.1))
            all[all.indexOf(folder)] = all === folders ? newFolder() : newJudge();
        }
        // What a failover takes back is told of until a worker notices.
        if (cluster === null && step % 20 === 19) {
          const told: Told = {
            store: real,
            topics,
            plan: plan!,
            sourcePartitions: SOURCE_PARTITIONS,
            partitions: PARTITIONS,
          };
          const isDone = whatIsDone(topics);
          whole = {
            routed: whole.routed + (await expectRouted(told, isDone, seed)),
            folded: whole.folded + (await expectFolded(told, seed)),
            known: whole.known + (await expectKnownFolded(told, seed)),
          };
        }
      }
      for (const folder of [...folders, ...judges]) await woken(folder);
      areFaultsOver = true;
      // In the end one of each comes to the end, undisturbed.
      topics.batchMax = 1000;
      const [lastRouter, lastFolder, lastJudge] = [newRouter([plan!]), newFolder([plan!]), newJudge()];
      for (let routed: number | null = 1, taken: number | null = 1; routed !== 0 || taken !== 0;) {
        routed = await lastRouter.loop.turn();
        taken = await lastJudge.loop.turn();
      }
      while ((await lastFolder.loop.turn()) !== 0);
      if (cluster !== null) {
        lost += cluster.lost;
        lostInPlace += cluster.lostInPlace;
        // What is not with replicas when all is done is folded anew by whoever comes next.
        await cluster.failOverAll();
        const again = newFolder([plan!]);
        while ((await again.loop.turn()) !== 0);
      }
      const right = expected(topics, plan!.routes);
      const verdicts = judged(topics);
      const usable: string[] = [];
      const claimed: string[] = [];
      for (let partition = 0; partition < SOURCE_PARTITIONS; partition++) {
        for (const { offset, value } of topics.of("payments", partition)) {
          const origin = `id-payments/${partition}/${offset}`;
          const isJson = value!.toString() !== "{";
          const hasId = isJson && (JSON.parse(value!.toString()) as { id: unknown }).id !== null;
          if (hasId) claimed.push(origin);
          const verdict = hasId ? verdicts.get(origin) : "has-id";
          if (!isJson || verdict === "ahead") right.letters.add(`id-payments/${partition}/${offset}`);
          else if (verdict !== "duplicate") usable.push(origin);
        }
      }
      expect([...verdicts.keys()].toSorted(), `seed ${seed}`).toEqual(claimed.toSorted());
      for (const { topic } of plan!.routes) {
        const routed = [0, 1].flatMap((partition) =>
          topics.of(topic, partition).map(({ headers }) => headers().get("onefold-origin")!.toString()),
        );
        expect([...new Set(routed)].toSorted(), `seed ${seed}`).toEqual(usable.toSorted());
      }
      expect(await stored(real, plan!.routes), `seed ${seed}`).toEqual(right.states);
      expect(letterKeys(topics), `seed ${seed}`).toEqual(right.letters);
      // A view that is added is folded from the beginning, and the others stay as they are.
      topics.batchMax = 1 + Math.floor(random() * 12);
      const addedFolder = newFolder([planLater!]);
      while ((await addedFolder.loop.turn()) !== 0);
      expect(await stored(real, planLater!.routes), `seed ${seed}`).toEqual(expected(topics, planLater!.routes).states);
      copies += lastFolder.loop.progress.copies + folders.reduce((sum, { loop }) => sum + loop.progress.copies, 0);
      duplicates += [...verdicts.values()].filter((verdict) => verdict === "duplicate").length;
    }
    // The runs do what they are for.
    expect(copies).toBeGreaterThan(0);
    expect(duplicates).toBeGreaterThan(0);
    expect(late).toBeGreaterThan(0);
    expect(lost).toBeGreaterThan(0);
    expect(lostInPlace).toBeGreaterThan(0);
    expect(whole.routed).toBeGreaterThan(0);
    expect(whole.folded).toBeGreaterThan(0);
    expect(whole.known).toBeGreaterThan(0);
  });

  it("go on routing while the store is away, and fail with what is a mistake", async () => {
    const topics = new SimulatedTopics(counts);
    const value = { id: null, user: "u1", country: "DE", shop: 1, at: new Date(START / 1000).toISOString(), amount: 1 };
    const record = { topic: "payments", partition: 0, key: null, value: Buffer.from(JSON.stringify(value)) };
    await topics.send([{ ...record, headers: new Map() }]);
    const told = { count: 0 };
    let code: "STORE_UNAVAILABLE" | "INTERNAL" = "STORE_UNAVAILABLE";
    class AwayStore extends MemoryOnlineStore {
      override async commit(): Promise<never> {
        told.count++;
        throw new OnefoldError(code, "it is away");
      }
    }
    const clock = { now: () => (START + told.count * MINUTE) as Micros };
    const seat = { commit: async () => undefined, committed: async (all: readonly unknown[]) => all.map(() => null) };
    const store = new AwayStore();
    const common = { connection: topics, clock, plans: [plan!], topics: facts, seat, store };
    const loop = new RouteLoop({ ...common, verdicts: new Verdicts(store) });
    loop.own([{ topic: "payments", partition: 0 }]);
    while ((await loop.turn()) !== 0 || told.count === 0);
    expect([0, 1].flatMap((partition) => topics.of(plan!.routes[0]!.topic, partition))).toHaveLength(1);
    code = "INTERNAL";
    await expect(loop.turn()).rejects.toMatchObject({ code });
  });

  it("go on with the views that there are while one that comes later is behind", async () => {
    const topics = new SimulatedTopics(counts);
    const real = new MemoryOnlineStore();
    const clock = { now: () => START };
    const { topic } = plan!.routes[0]!;
    const send = async (n: number): Promise<void> => {
      const value = { user: "u1", country: "DE", shop: 1, at: new Date(START / 1000).toISOString(), amount: n };
      const headers = new Map([
        ["onefold-origin", `id-payments/0/${n}`],
        ["onefold-known-time", String(START)],
      ]);
      const record = {
        topic,
        partition: 0,
        key: Buffer.from("u1"),
        value: Buffer.from(JSON.stringify(value)),
        headers,
      };
      await topics.send([record]);
    };
    const folder = (plans: readonly (typeof plan & object)[]): FoldLoop => {
      const loop = new FoldLoop({ connection: topics, store: real, clock, plans, topics: facts, statesMax: 10 });
      loop.own([{ topic, partition: 0 }]);
      return loop;
    };
    topics.batchMax = 10;
    for (let n = 0; n < 200; n++) await send(n);
    const first = folder([plan!]);
    while ((await first.turn()) !== 0);
    const both = folder([planLater!]);
    const countOf = async (version: number): Promise<number> => {
      const view = planLater!.routes[0]!.views.find(({ definition }) => definition.version === version)!;
      const { states } = await real.read([{ space: spaceOf(view), key: "u1" }]);
      return states[0] === null || states[0] === undefined ? 0 : view.fold.decode(states[0].bytes).eventCount;
    };
    for (let n = 200; n < 210; n++) {
      await send(n);
      await both.turn();
      // One answer is fetched ahead.
      expect(await countOf(1)).toBeGreaterThanOrEqual(n);
    }
    expect(await countOf(2)).toBe(100);
    expect(both.progress.partitions[0]!.lag).toBeGreaterThan(100);
    // Another takes over: it goes on where the late view was.
    const next = folder([planLater!]);
    await next.turn();
    expect(await countOf(2)).toBe(110);
    while ((await next.turn()) !== 0);
    expect([await countOf(1), await countOf(2)]).toEqual([210, 210]);
    expect(next.progress.partitions[0]!.lag).toBe(0);
    expect(await stored(real, [planLater!.routes[0]!])).toEqual(expected(topics, [planLater!.routes[0]!]).states);
  });
});
