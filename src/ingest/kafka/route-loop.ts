/**
 * The routing half of a worker: fetches partitions of sources' topics and appends their events to internal topics.
 *
 * A position is committed to the group once all before it are appended; see `origin.ts` for why that suffices, and
 * `route-position.ts` for topics that come later. Where a step fails, the next turn goes on from what the group has
 * committed.
 */
import type { Clock } from "../../base/clock.ts";
import type {
  FetchedPartition,
  GroupPosition,
  KafkaConnection,
  NewRecord,
  TopicFacts,
  TopicPartition,
} from "./connection.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import type { GroupSeat } from "./group-seat.ts";
import { partitionName } from "./position.ts";
import { type RoutePlace, RoutePosition } from "./route-position.ts";
import { compileRouter, type Router } from "./router.ts";
import type { SourceRoutes } from "./routes.ts";

export interface RouteLoopOptions {
  readonly connection: Pick<KafkaConnection, "fetch" | "offsets" | "send">;
  readonly clock: Clock;
  /** Those that are routed. */
  readonly plans: readonly SourceRoutes[];
  /** Facts of sources' and internal topics. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
  readonly seat: Pick<GroupSeat, "commit" | "committed">;
}

export interface RouteProgress {
  readonly events: number;
  readonly deadLetters: number;
  readonly lag: number;
}

/** Of values, in one append: well below what a broker takes for one partition. */
const APPEND_BYTES_MAX = 512 * 1024;

export class RouteLoop {
  readonly #options: RouteLoopOptions;
  readonly #fetching: FetchAhead;
  readonly #routers = new Map<string, Router[]>();
  /** Ids of the topics that a source's topic is routed to. */
  readonly #targets = new Map<string, string[]>();
  readonly #positions = new Map<string, TopicPartition & { readonly at: RoutePosition }>();
  /** Notes that the group has, by partition. */
  readonly #committed = new Map<string, string>();
  readonly #lags = new Map<string, number>();
  #owned: readonly TopicPartition[] = [];
  #events = 0;
  #deadLetters = 0;

  constructor(options: RouteLoopOptions) {
    this.#options = options;
    this.#fetching = new FetchAhead(options.connection, "route");
    const { plans, topics } = options;
    const counts = new Map(Array.from(topics, ([name, { partitionCount }]) => [name, partitionCount]));
    for (const plan of plans) {
      const router = compileRouter(plan, topics.get(plan.topic)!.id, counts);
      // Several sources may read one topic, each in its own way.
      this.#routers.set(plan.topic, [...(this.#routers.get(plan.topic) ?? []), router]);
      const targets = plan.routes.map((route) => topics.get(route.topic)!.id);
      this.#targets.set(plan.topic, [...(this.#targets.get(plan.topic) ?? []), ...targets]);
    }
  }

  own(partitions: readonly TopicPartition[]): void {
    this.#owned = partitions;
  }

  get progress(): RouteProgress {
    const lag = [...this.#lags.values()].reduce((sum, one) => sum + one, 0);
    return { events: this.#events, deadLetters: this.#deadLetters, lag };
  }

  drop(): void {
    this.#fetching.drop();
    this.#positions.clear();
    this.#committed.clear();
    this.#lags.clear();
  }

  async turn(): Promise<number | null> {
    await this.#settle();
    if (this.#positions.size === 0) return null;
    const positions = [...this.#positions.values()];
    const live = positions.map(({ at, ...partition }) => ({ ...partition, offset: at.live }));
    const behind = positions.flatMap(({ at, ...partition }) =>
      at.behind === null ? [] : [{ ...partition, offset: at.behind }],
    );
    const [fetched, fetchedBehind] = await Promise.all([
      // Topics that are behind do not wait for events to come.
      behind.length === 0 ? this.#fetching.fetch(live) : this.#fetching.fetch(live, 0),
      this.#options.connection.fetch(behind, 0, "route-behind"),
    ]);
    const taken = (await this.#route(fetched, "live")) + (await this.#route(fetchedBehind, "behind"));
    const moved = new Set(
      [...fetched, ...fetchedBehind].map(({ topic, partition }) => partitionName(topic, partition)),
    );
    const done = Array.from(moved, (name): GroupPosition | null => {
      const { at, ...partition } = this.#positions.get(name)!;
      const { offset, note } = at.noted;
      if (note === this.#committed.get(name)) return null;
      this.#committed.set(name, note!);
      return { ...partition, offset, note };
    }).filter((one) => one !== null);
    await this.#options.seat.commit(done);
    return taken;
  }

  /** Resolves with how many records there were, once what is due of them is appended. */
  async #route(fetched: readonly FetchedPartition[], place: RoutePlace): Promise<number> {
    const { connection, clock } = this.#options;
    let taken = 0;
    let append: NewRecord[] = [];
    let bytes = 0;
    for (const { topic, partition, records, nextOffset, endOffset } of fetched) {
      const name = partitionName(topic, partition);
      const { at } = this.#positions.get(name)!;
      const end = place === "live" ? nextOffset : Math.min(nextOffset, at.live);
      this.#lags.set(`${place} ${name}`, Math.max(0, (place === "live" ? endOffset : at.live) - end));
      for (const record of records) {
        if (record.offset >= end) break;
        taken++;
        for (const router of this.#routers.get(topic)!) {
          const routed = this.#due(router.route(record, partition, clock.now()), record.offset, place, at);
          append.push(...routed);
          for (const { value } of routed) bytes += value?.length ?? 0;
        }
        if (bytes < APPEND_BYTES_MAX) continue;
        // One after the other: an event is appended only once all before it are.
        await connection.send(append);
        append = [];
        bytes = 0;
      }
    }
    await connection.send(append);
    for (const { topic, partition, nextOffset } of fetched) {
      const { at } = this.#positions.get(partitionName(topic, partition))!;
      at.advance(place, place === "live" ? nextOffset : Math.min(nextOffset, at.live));
    }
    return taken;
  }

  /** What is to be appended of a routed record: to topics that it is due to, and letters once. */
  #due(
    routed: ReturnType<Router["route"]>,
    offset: number,
    place: RoutePlace,
    at: RoutePosition,
  ): readonly NewRecord[] {
    if ("code" in routed) {
      if (place === "behind") return [];
      this.#deadLetters++;
      return [letterRecord(routed, this.#options.clock)];
    }
    const { topics } = this.#options;
    const due = routed.filter(({ topic }) => at.isDue(topics.get(topic)!.id, place, offset));
    if (due.length > 0) this.#events++;
    return due;
  }

  async #settle(): Promise<void> {
    const { seat, connection } = this.#options;
    // A leader of other definitions may give out topics that this worker does not know.
    const known = this.#owned.filter(({ topic }) => this.#routers.has(topic));
    const owned = new Map(known.map((each) => [partitionName(each.topic, each.partition), each]));
    for (const name of this.#positions.keys()) {
      if (owned.has(name)) continue;
      this.#positions.delete(name);
      this.#committed.delete(name);
      for (const place of ["live", "behind"]) this.#lags.delete(`${place} ${name}`);
    }
    const fresh = [...owned].filter(([name]) => !this.#positions.has(name));
    if (fresh.length === 0) return;
    const committed = await seat.committed(fresh.map(([, partition]) => partition));
    const starts = new Map<string, number[]>();
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
      const start = starts.get(topic)![partition] ?? 0;
      const at = new RoutePosition(committed[i] ?? null, this.#targets.get(topic)!, start);
      this.#positions.set(name, { topic, partition, at });
    }
  }
}
