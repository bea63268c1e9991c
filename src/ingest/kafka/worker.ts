/**
 * A worker: takes its share of the sources' partitions to route and of the internal partitions to fold, until it is
 * stopped. Any number of workers may run; partitions own entities, and groups give each partition to one of them.
 *
 *     source's topic ─▶ [route group] ─▶ internal topics, keyed by entity ─▶ [fold group] ─▶ online store
 *                             │  ▲
 *                      claims ▼  │ verdicts
 *                          [ids group]
 *
 * Trouble with Kafka or the store ends nothing: what is in memory is dropped, and the worker tries again from what is
 * stored. It fails only at what trying again does not mend.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { asOnefoldError, type ErrorCode, OnefoldError } from "../../base/errors.ts";
import type { Definition, StreamDefinition } from "../../define/definition.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import { ArchiveLoop, type RouteArchive } from "./archive-loop.ts";
import { CaughtUpWatch } from "./caught-up.ts";
import { KafkaConnection } from "./connection.ts";
import type { FetchFrom } from "./records.ts";
import { FoldLoop, type FoldLoopOptions, type FoldProgress } from "./fold-loop.ts";
import { GroupSeat } from "./group-seat.ts";
import { TABLE_TROUBLE } from "./held-corrections.ts";
import { Refolding } from "./refolding.ts";
import type { ForgottenNotes } from "./forgotten-notes.ts";
import { RouteLoop, type RouteProgress } from "./route-loop.ts";
import { planRoutes, type SourceRoutes } from "./routes.ts";
import type { KafkaSettings } from "./settings.ts";
import { prepareTopics } from "./topic-setup.ts";
import { Verdicts } from "./verdicts.ts";
import { forgetDrafts, keepPartitionCounts, tellViewPlaces } from "./view-places.ts";

/** What passes by itself, or once a person has mended it elsewhere. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "KAFKA_UNAVAILABLE",
  "STORE_UNAVAILABLE",
  "STORE_TIMEOUT",
  ...TABLE_TROUBLE,
]);
/** Without partitions. */
const IDLE_MS = 50;
const AGAIN_MS_MIN = 200;
const AGAIN_MS_MAX = 5000;
const STATES_MAX = 500_000;
const ARCHIVE_MS = 10_000;
const LOOK_MS = 30_000;
/** How often to look whether views that come later have caught up. */
const CAUGHT_UP_MS = 500;
/** ... and whether the store still has the places of those that have. */
const PLACES_MS = 2000;
/** A position that waits for replicas for so long is trouble. */
const HELD_MS = 10_000;

export interface WorkerOptions {
  readonly definitions: readonly Definition[];
  readonly kafka: KafkaSettings;
  readonly store: OnlineStore;
  readonly clock: Clock;
  /** Also folds drafts, each thing that one has been from the beginning; what it was before is forgotten. */
  readonly drafts?: boolean;
  /** States kept in memory. */
  readonly statesMax?: number;
  readonly onFolded?: FoldLoopOptions["onFolded"];
  readonly sight?: FoldLoopOptions["sight"];
  /** Opens the offline table of a folded topic; nothing is archived without it. */
  readonly openArchive?: (source: StreamDefinition, topic: string) => Promise<RouteArchive>;
  /** Reads these tables where events are corrected; none can be without it. */
  readonly openEngine?: () => Promise<QueryEngine>;
  /** What is written down of forgotten entities, beside the tables. */
  readonly forgotten?: (source: string) => Pick<ForgottenNotes, "origins" | "rows">;
  /** Between two passes of the archive. */
  readonly archiveIntervalMs?: number | undefined;
  /** How often to look whether sources' topics have more partitions. */
  readonly lookMs?: number;
  /** Told of trouble that the worker gets over by itself. */
  onTrouble?(error: OnefoldError): void;
}

export interface WorkerProgress {
  readonly route: RouteProgress;
  readonly fold: FoldProgress;
  /** Events archived by this worker. */
  readonly archived: number;
  /** What a part of the worker failed at last and tries again; null where none does. */
  readonly trouble: OnefoldError | null;
}

interface Loop {
  turn(): Promise<number | null>;
  drop(): void;
}

export class Worker {
  /** Resolves with what the worker failed at; not at all where it is stopped. */
  readonly failed: Promise<OnefoldError>;
  readonly plans: readonly SourceRoutes[];
  readonly #options: WorkerOptions;
  readonly #connection: KafkaConnection;
  readonly #folding: FoldLoop;
  readonly #judging: FoldLoop | null;
  readonly #routing: RouteLoop | null;
  readonly #archiving: ArchiveLoop | null;
  #routeSeat: GroupSeat | null = null;
  /** What this worker has folded last may be what a view lacked. */
  #lastLook: () => Promise<void> = () => Promise.resolve();
  readonly #seats: GroupSeat[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #stopping = new AbortController();
  readonly #troubles = new Map<Loop, OnefoldError>();
  #fail!: (error: OnefoldError) => void;

  /** Throws `DEFINITION_INVALID`, `KAFKA_UNAVAILABLE`, `KAFKA_TOPIC_UNFIT` and what the store throws. */
  static async start(options: WorkerOptions): Promise<Worker> {
    const { prefix } = options.kafka;
    const { drafts = false } = options;
    const plans = planRoutes(options.definitions, prefix, drafts);
    if (plans.length === 0) {
      throw new OnefoldError("DEFINITION_INVALID", "no source with a view is read from Kafka", {
        hint: 'declare it: stream("payments", { kafka: "payments-topic", ... })',
      });
    }
    const connection = new KafkaConnection(options.kafka);
    try {
      const topics = await prepareTopics(connection, plans);
      await tellPlaces(options.store, plans, topics);
      if (drafts) await forgetDrafts(options.store, plans);
      const archives = await openArchives(options, plans);
      const worker = new Worker(options, connection, plans, topics, archives);
      await worker.#watchViews(topics);
      worker.#startArchive();
      return worker;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  private constructor(
    options: WorkerOptions,
    connection: KafkaConnection,
    plans: readonly SourceRoutes[],
    topics: FoldLoopOptions["topics"],
    archives: ReadonlyMap<string, RouteArchive> | null,
  ) {
    this.#options = options;
    this.#connection = connection;
    this.plans = plans;
    this.failed = new Promise((resolve) => (this.#fail = resolve));
    const { store, clock, statesMax = STATES_MAX, onFolded, sight, kafka, openEngine } = options;
    const onTrouble = (error: OnefoldError): void => options.onTrouble?.(error);
    const parts = { connection, store, clock, plans, topics, statesMax };
    const folded = (): readonly FetchFrom[] => this.#folding.positions;
    const archiving = archives && new ArchiveLoop({ connection, store, plans, topics, archives, folded });
    this.#archiving = archiving;
    const refolding =
      archiving && openEngine ? new Refolding({ archiving, openEngine, forgotten: options.forgotten }) : null;
    this.#folding = new FoldLoop({
      ...parts,
      onTrouble,
      ...(onFolded === undefined ? {} : { onFolded }),
      ...(sight === undefined ? {} : { sight }),
      ...(refolding === null ? {} : { refolding }),
    });
    const foldedTopics = plans.flatMap(({ routes }) => routes.map(({ topic }) => topic));
    const foldSeat = this.#seat(`${kafka.prefix}.fold`, foldedTopics, this.#folding);
    let shown = 0;
    this.#loops.push(
      this.#run(this.#folding, async () => {
        // For those who look at the group's lag; what counts is the position in the store.
        if (performance.now() - shown < 1000) return;
        shown = performance.now();
        await foldSeat.commit(this.#folding.positions).catch(() => undefined);
      }),
    );
    const claimed = plans.flatMap(({ claims }) => (claims === null ? [] : [claims.topic]));
    if (claimed.length === 0) this.#judging = null;
    else {
      this.#judging = new FoldLoop({ ...parts, of: "claims" });
      this.#seat(`${kafka.prefix}.ids`, claimed, this.#judging);
      this.#loops.push(this.#run(this.#judging));
    }
    const routed = plans.filter(({ routes }) => routes.some(({ isDirect }) => !isDirect));
    if (routed.length === 0) this.#routing = null;
    else {
      let own: RouteLoop["own"] = () => {};
      const seat = this.#seat(`${kafka.prefix}.route`, [...new Set(routed.map(({ topic }) => topic))], {
        own: (partitions) => own(partitions),
      });
      this.#routeSeat = seat;
      const verdicts = new Verdicts(store);
      const refusal = refolding === null ? undefined : refolding.refusal.bind(refolding);
      const forgotten = options.forgotten && ((source: string) => options.forgotten!(source).origins());
      const loop = new RouteLoop({
        connection,
        clock,
        plans: routed,
        topics,
        seat,
        verdicts,
        store,
        refusal,
        forgotten,
      });
      own = (partitions) => loop.own(partitions);
      this.#routing = loop;
      this.#loops.push(this.#run(loop), this.#run(this.#lookout(seat, routed, topics)));
    }
    for (const seat of this.#seats) seat.take();
  }

  get progress(): WorkerProgress {
    const route = this.#routing?.progress ?? { events: 0, deadLetters: 0, lag: 0 };
    const [trouble = this.#folding.trouble ?? this.#held()] = this.#troubles.values();
    const fold = this.#folding.progress;
    // Of claims, too: an event whose id came before is dropped where it is routed.
    const duplicates = fold.duplicates + (this.#judging?.progress.duplicates ?? 0);
    return { route, fold: { ...fold, duplicates }, archived: this.#archiving?.events ?? 0, trouble };
  }

  /** Says of each view that comes later when it has caught up. */
  async #watchViews(topics: FoldLoopOptions["topics"]): Promise<void> {
    const { store } = this.#options;
    const committed: GroupSeat["committed"] = async (partitions) => this.#routeSeat!.committed(partitions);
    const { plans } = this;
    const watch = new CaughtUpWatch({
      connection: this.#connection,
      store,
      plans,
      topics,
      committed,
      tellPlaces: () => tellPlaces(store, plans, topics),
    });
    // Where there is no past, a view is there at once.
    let areAllBuilt = await watch.look().catch(() => false);
    this.#lastLook = async () => {
      if (!areAllBuilt) await watch.look().catch(() => undefined);
    };
    this.#loops.push(
      this.#run({
        turn: async () => {
          const { signal } = this.#stopping;
          await sleep(areAllBuilt ? PLACES_MS : CAUGHT_UP_MS, undefined, { signal }).catch(() => undefined);
          if (!signal.aborted) areAllBuilt = await watch.look();
          return 0;
        },
        drop: () => {},
      }),
    );
  }

  #held(): OnefoldError | null {
    const heldMs = Math.max(this.#folding.heldMs, this.#judging?.heldMs ?? 0);
    if (heldMs < HELD_MS) return null;
    const message = `replicas of the online store have not had all states for ${Math.floor(heldMs / 1000)} s`;
    return new OnefoldError("STORE_TIMEOUT", message, {
      hint: "what is folded is served, and would be folded again after a restart; see whether the cluster's replicas run (CLUSTER NODES), and take out those that will not come back (CLUSTER FORGET)",
    });
  }

  #startArchive(): void {
    const { archiveIntervalMs = ARCHIVE_MS } = this.#options;
    const archiving = this.#archiving;
    if (archiving === null) return;
    this.#loops.push(
      this.#run({
        turn: async () => {
          await sleep(archiveIntervalMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
          await archiving.pass();
          return 0;
        },
        drop: () => {},
      }),
    );
  }

  /** Finishes the batch at hand, leaves the groups. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
    await this.#folding.idle();
    await this.#lastLook();
    await Promise.all(this.#seats.map((seat) => seat.leave()));
    await this.#connection.close();
  }

  /** A group does not see by itself that a topic has grown. */
  #lookout(seat: GroupSeat, routed: readonly SourceRoutes[], topics: FoldLoopOptions["topics"]): Loop {
    const names = [...new Set(routed.map(({ topic }) => topic))];
    const counts = new Map(names.map((name) => [name, topics.get(name)!.partitionCount]));
    return {
      turn: async () => {
        const { lookMs = LOOK_MS } = this.#options;
        await sleep(lookMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
        if (this.#stopping.signal.aborted) return 0;
        const present = await this.#connection.topics(names);
        const grown = names.filter((name) => (present.get(name)?.partitionCount ?? 0) > counts.get(name)!);
        if (grown.length === 0) return 0;
        await seat.renew();
        for (const name of grown) counts.set(name, present.get(name)!.partitionCount);
        return 0;
      },
      drop: () => {},
    };
  }

  #seat(groupId: string, topics: readonly string[], loop: Pick<RouteLoop, "own">): GroupSeat {
    const seat = new GroupSeat({
      connection: this.#connection,
      groupId,
      topics,
      onAssigned: (partitions) => loop.own(partitions),
      onTrouble: (error) => this.#options.onTrouble?.(error),
    });
    this.#seats.push(seat);
    return seat;
  }

  async #run(loop: Loop, afterTurn?: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    let again = AGAIN_MS_MIN;
    while (!signal.aborted) {
      try {
        const taken = await loop.turn();
        await afterTurn?.();
        this.#troubles.delete(loop);
        again = AGAIN_MS_MIN;
        if (taken === null) await sleep(IDLE_MS, undefined, { signal }).catch(() => undefined);
      } catch (thrown) {
        const error = asOnefoldError(thrown);
        loop.drop();
        if (!PASSING.has(error.code)) {
          this.#fail(error);
          return;
        }
        this.#troubles.set(loop, error);
        this.#options.onTrouble?.(error);
        await sleep(again, undefined, { signal }).catch(() => undefined);
        again = Math.min(AGAIN_MS_MAX, again * 2);
      }
    }
  }
}

/** By folded topic; null where none is archived. */
async function openArchives(
  { openArchive }: WorkerOptions,
  plans: readonly SourceRoutes[],
): Promise<ReadonlyMap<string, RouteArchive> | null> {
  if (openArchive === undefined) return null;
  const archives = new Map<string, RouteArchive>();
  for (const { source, topic } of plans.flatMap(({ routes }) => routes)) {
    archives.set(topic, await openArchive(source, topic));
  }
  return archives;
}

async function tellPlaces(
  store: OnlineStore,
  plans: readonly SourceRoutes[],
  topics: FoldLoopOptions["topics"],
): Promise<void> {
  const folded = plans.flatMap(({ routes, claims }) => [...routes, ...(claims === null ? [] : [claims])]);
  await tellViewPlaces(store, plans);
  await keepPartitionCounts(
    store,
    folded.map(({ topic }) => topics.get(topic)!),
  );
}
