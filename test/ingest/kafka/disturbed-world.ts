/**
 * A source's topics in memory, real offline tables, and routers, judges and folders that take turns over them, of one seed: each
 * may crash before a write or once it has landed, and another takes its place.
 */
import { OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition, ViewDefinition } from "../../../src/define/definition.ts";
import { ArchiveLoop, type ArchiveMemory } from "../../../src/ingest/kafka/archive-loop.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { ForgottenNotes } from "../../../src/ingest/kafka/forgotten-notes.ts";
import type { GroupPosition, TopicFacts, TopicPartition } from "../../../src/ingest/kafka/records.ts";
import { Refolding } from "../../../src/ingest/kafka/refolding.ts";
import { RouteLoop } from "../../../src/ingest/kafka/route-loop.ts";
import type { NotedOffset } from "../../../src/ingest/kafka/route-position.ts";
import { planRoutes, type SourceRoutes } from "../../../src/ingest/kafka/routes.ts";
import { Verdicts } from "../../../src/ingest/kafka/verdicts.ts";
import { tellViewPlaces } from "../../../src/ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { diskTableStorage, type TableStorage } from "../../../src/offline-store/table-storage.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { MINUTE, payments, randomFrom, shop, shopView, START, user, userView } from "../payments.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

export const SOURCE_PARTITIONS = 2;
/** Of each topic that a worker makes. */
export const PARTITIONS = 2;

const clock = { now: () => START };

export interface PaymentPlans {
  readonly source: StreamDefinition;
  readonly plan: SourceRoutes;
  /** With the views that come later. */
  readonly planLater: SourceRoutes;
  /** Partitions of each topic. */
  readonly counts: ReadonlyMap<string, number>;
  readonly facts: ReadonlyMap<string, TopicFacts>;
}

/** Ids are judged for the whole source, or where events are folded. */
export function plansOf(ids: "source" | "entity", laterViews: readonly ViewDefinition[] = []): PaymentPlans {
  const kafka = { topic: "payments", ...(ids === "entity" ? { ids } : {}) } as const;
  const source: StreamDefinition = { ...payments, kafka, dedupeWithinMicros: 60 * MINUTE };
  const registered = [user, shop, source, userView, shopView];
  const [plan] = planRoutes(registered, "onefold") as [SourceRoutes];
  const [planLater] = planRoutes([...registered, ...laterViews], "onefold") as [SourceRoutes];
  const claims = plan.claims === null ? [] : [plan.claims];
  const counts = new Map([
    ["payments", SOURCE_PARTITIONS],
    [plan.deadLetterTopic, 1],
    ...[...plan.routes, ...claims].map(({ topic }) => [topic, PARTITIONS] as const),
  ]);
  const facts = new Map(
    Array.from(counts, ([name, partitionCount]) => [name, { name, id: `id-${name}`, partitionCount }]),
  );
  return { source, plan, planLater, counts, facts };
}

export interface FaultyStore {
  readonly store: OnlineStore;
  fault: "none" | "before" | "after";
}

/** Fails before a commit, or once it has landed. */
export function faulty(real: OnlineStore): FaultyStore {
  const told = { fault: "none" as FaultyStore["fault"] };
  const store: OnlineStore = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (name === "commit") {
        return async (...args: Parameters<OnlineStore["commit"]>) => {
          if (told.fault === "before") throw new Error("crash");
          const refused = await real.commit(...args);
          if (told.fault === "after") throw new Error("crash");
          return refused;
        };
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return Object.assign(told, { store });
}

export interface DisturbedWorldOptions {
  readonly seed: number;
  readonly random: () => number;
  readonly plans: PaymentPlans;
  /** Of the tables. */
  readonly folder: string;
  readonly engine: QueryEngine;
  /** Whether workers look at what is forgotten. */
  readonly forgets?: boolean;
  /** Of stored positions, how long they are taken for what they were. */
  readonly trustMs?: number;
}

/** A worker's fold loop, with its tables. */
interface Folder {
  readonly loop: FoldLoop;
  readonly told: FaultyStore;
  readonly archiving: ArchiveLoop;
  readonly refolding: Refolding;
  /** While it archives: what it has written stays, and is of no table. */
  readonly killed: { is: boolean };
}

export class DisturbedWorld {
  readonly topics: SimulatedTopics;
  /** Of every other seed. */
  readonly cluster: SimulatedCluster | null;
  readonly store: OnlineStore;
  /** All that folded. */
  readonly loops: FoldLoop[] = [];
  readonly #options: DisturbedWorldOptions;
  readonly #committed = new Map<string, NotedOffset>();
  readonly #folders: Folder[] = [];
  readonly #marking: { readonly putEveryMs: number; readonly allEveryMs: number; readonly trustMs?: number };
  readonly #disk = { isFull: false };
  readonly #commits = { areFailing: false };
  #router!: RouteLoop;
  #judge!: FoldLoop;
  #now: number = START;

  private constructor(options: DisturbedWorldOptions) {
    const { seed, plans, trustMs } = options;
    this.#options = options;
    this.topics = new SimulatedTopics(plans.counts);
    this.cluster = seed % 2 === 0 ? new SimulatedCluster(randomFrom(seed + 1_000_000)) : null;
    this.store = this.cluster ?? new MemoryOnlineStore();
    this.#marking = { putEveryMs: 0, allEveryMs: 30_000, ...(trustMs === undefined ? {} : { trustMs }) };
  }

  static async open(options: DisturbedWorldOptions): Promise<DisturbedWorld> {
    const world = new DisturbedWorld(options);
    await world.newFolders();
    world.#router = world.#newRouter();
    world.#judge = world.#newJudge();
    return world;
  }

  get now(): number {
    return this.#now;
  }

  goOn(micros: number): void {
    this.#now += micros;
    this.topics.nowMs = this.#now / 1000;
  }

  chance(share: number): boolean {
    return this.#options.random() < share;
  }

  /** Others take the place of both. */
  async newFolders(plans?: readonly SourceRoutes[]): Promise<void> {
    for (const at of [0, 1]) this.#folders[at] = await this.#newFolder(plans);
  }

  /** Where the routers' group is to go on. */
  committedBy = async (_: string, all: readonly TopicPartition[]): Promise<(NotedOffset | null)[]> =>
    all.map(({ topic, partition }) => this.#committed.get(`${topic}/${partition}`) ?? null);

  async #newFolder(
    plans: readonly SourceRoutes[] = [this.chance(0.3) ? this.#options.plans.planLater : this.#options.plans.plan],
  ): Promise<Folder> {
    const { folder, engine, forgets } = this.#options;
    const { source, plan, facts } = this.#options.plans;
    const told = faulty(this.store);
    await tellViewPlaces(this.store, plans).catch(() => undefined);
    const folded: { loop: FoldLoop | null } = { loop: null };
    const killed = { is: false };
    const storage: TableStorage = {
      ...diskTableStorage,
      publish: (...args) => (killed.is ? Promise.reject(new Error("crash")) : diskTableStorage.publish(...args)),
      remove: (path) => (killed.is ? Promise.reject(new Error("crash")) : diskTableStorage.remove(path)),
    };
    const tables = openOfflineStore(folder, engine, { clock, storage });
    const archives = new Map();
    for (const { topic } of plan.routes)
      archives.set(topic, await openPartitionedEvents<ArchiveMemory>(tables, engine, source, topic));
    const archiving = new ArchiveLoop({
      connection: this.topics,
      store: this.store,
      plans,
      topics: facts,
      archives,
      folded: () => folded.loop?.positions ?? [],
    });
    const refolding = new Refolding({
      archiving,
      openEngine: () => openDuckDb({ threads: 1 }),
      ...(forgets === true ? { forgotten: (name: string) => new ForgottenNotes(folder, "onefold", name) } : {}),
    });
    const disk = this.#disk;
    const loop = new FoldLoop({
      connection: this.topics,
      store: told.store,
      clock,
      plans,
      topics: facts,
      marking: this.#marking,
      refolding: {
        async refold(runs, tell) {
          if (disk.isFull) throw new OnefoldError("DISK_FULL", "the disk of the tables is full");
          return refolding.refold(runs, tell);
        },
      },
      statesMax: this.chance(0.5) ? 4 : 1000,
    });
    folded.loop = loop;
    loop.own(plan.routes.flatMap(({ topic }) => partitionsOf(topic, PARTITIONS)));
    this.loops.push(loop);
    return { loop, told, archiving, refolding, killed };
  }

  #newJudge(): FoldLoop {
    const { plan, facts } = this.#options.plans;
    const loop = new FoldLoop({
      connection: this.topics,
      store: this.store,
      clock,
      plans: [plan],
      topics: facts,
      marking: this.#marking,
      statesMax: 10,
      of: "claims",
    });
    if (plan.claims !== null) loop.own(partitionsOf(plan.claims.topic, PARTITIONS));
    return loop;
  }

  #newRouter(): RouteLoop {
    const { folder, random, forgets } = this.#options;
    const { plan, facts } = this.#options.plans;
    const seat = {
      commit: async (positions: readonly GroupPosition[]) => {
        if (this.#commits.areFailing) throw new Error("crash");
        for (const { topic, partition, offset, note = null } of positions)
          this.#committed.set(`${topic}/${partition}`, { offset, note });
      },
      committed: (all: readonly TopicPartition[]) => this.committedBy("", all),
    };
    const loop = new RouteLoop({
      connection: this.topics,
      clock: { now: () => this.#now as Micros },
      plans: [plan],
      topics: facts,
      seat,
      verdicts: new Verdicts(this.store),
      refusal: (one) => this.#folders[0]!.refolding.refusal(one),
      ...(forgets === true
        ? { forgotten: (name: string) => new ForgottenNotes(folder, "onefold", name).origins(), notesTrustedMs: 0 }
        : {}),
      verdictsMs: 0,
      roundRecords: this.chance(0.5) ? 1 + Math.floor(random() * 5) : 1000,
    });
    loop.own(partitionsOf("payments", SOURCE_PARTITIONS));
    return loop;
  }

  /** One of each, of which such a share is disturbed. */
  async turn(share: number, plansOfNew?: readonly SourceRoutes[]): Promise<void> {
    const { topics } = this;
    const { random } = this.#options;
    topics.batchMax = 1 + Math.floor(random() * 12);
    this.#commits.areFailing = this.chance(share);
    topics.sendFailsAfter = this.chance(share) ? Math.floor(random() * 8) : null;
    await this.#router.turn().catch(() => this.#router.drop());
    topics.sendFailsAfter = null;
    this.#commits.areFailing = false;
    if (this.chance(share / 2)) this.#router = this.#newRouter();
    await this.#judge.turn().catch(() => this.#judge.drop());
    if (this.chance(share / 2)) this.#judge = this.#newJudge();
    const at = this.chance(0.5) ? 0 : 1;
    const one = this.#folders[at]!;
    one.told.fault = this.chance(share) ? "before" : this.chance(share) ? "after" : "none";
    this.#disk.isFull = this.chance(share);
    await one.loop.turn().catch(() => one.loop.drop());
    this.#disk.isFull = false;
    one.told.fault = "none";
    one.killed.is = this.chance(share / 2);
    if (one.killed.is || this.chance(0.2)) await one.archiving.pass().catch(() => undefined);
    if (one.killed.is || this.chance(share / 2)) this.#folders[at] = await this.#newFolder(plansOfNew);
    this.cluster?.replicate();
  }

  /** Undisturbed, by one that folds the views which come later, too. */
  async foldAll(): Promise<void> {
    const { topics } = this;
    const router = this.#router;
    const last = await this.#newFolder([this.#options.plans.planLater]);
    const isFolded = (): boolean =>
      router.progress.lag === 0 &&
      last.loop.progress.partitions.length === 2 * PARTITIONS &&
      last.loop.progress.partitions.every(
        ({ topic, partition, position, lag }) => lag === 0 && position === topics.of(topic, partition).length,
      );
    for (let quiet = 0, turns = 0; quiet < 5 || !isFolded(); turns++) {
      if (turns === 20_000) throw new Error("not all is folded after 20,000 turns");
      let taken = 0;
      for (const loop of [router, this.#judge, last.loop]) {
        taken +=
          (await loop.turn().catch((error: Error & { code?: string }) => {
            // Connections were lost before.
            if (error.code !== "STORE_UNAVAILABLE") throw error;
            loop.drop();
            return 1;
          })) ?? 0;
      }
      quiet = taken === 0 ? quiet + 1 : 0;
    }
  }
}

function partitionsOf(topic: string, count: number): TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
}
