/**
 * The routing half of a worker: fetches partitions of sources' topics and appends their events to internal topics.
 *
 * A position is committed to the group once all before it are appended; see `origin.ts` for why that suffices. Where a
 * step fails, the next turn goes on from what the group has committed.
 */
import type { Clock } from "../../base/clock.ts";
import type { FetchFrom, KafkaConnection, NewRecord, TopicFacts, TopicPartition } from "./connection.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import type { GroupSeat } from "./group-seat.ts";
import { partitionName } from "./position.ts";
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
  readonly #positions = new Map<string, FetchFrom>();
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
    this.#lags.clear();
  }

  async turn(): Promise<number | null> {
    await this.#settle();
    if (this.#positions.size === 0) return null;
    const { connection, clock, seat } = this.#options;
    const fetched = await this.#fetching.fetch([...this.#positions.values()]);
    const done: FetchFrom[] = [];
    let taken = 0;
    let append: NewRecord[] = [];
    let bytes = 0;
    for (const { topic, partition, records, nextOffset, endOffset } of fetched) {
      const name = partitionName(topic, partition);
      this.#lags.set(name, Math.max(0, endOffset - nextOffset));
      if (nextOffset === this.#positions.get(name)?.offset) continue;
      done.push({ topic, partition, offset: nextOffset });
      taken += records.length;
      for (const record of records) {
        for (const router of this.#routers.get(topic)!) {
          const routed = router.route(record, partition, clock.now());
          if ("code" in routed) {
            append.push(letterRecord(routed, clock));
            this.#deadLetters++;
          } else {
            append.push(...routed);
            this.#events++;
          }
          bytes += (record.value?.length ?? 0) * ("code" in routed ? 1 : routed.length);
        }
        if (bytes < APPEND_BYTES_MAX) continue;
        // One after the other: an event is appended only once all before it are.
        await connection.send(append);
        append = [];
        bytes = 0;
      }
    }
    await connection.send(append);
    await seat.commit(done);
    for (const position of done) this.#positions.set(partitionName(position.topic, position.partition), position);
    return taken;
  }

  async #settle(): Promise<void> {
    const { seat, connection } = this.#options;
    // A leader of other definitions may give out topics that this worker does not know.
    const known = this.#owned.filter(({ topic }) => this.#routers.has(topic));
    const owned = new Map(known.map((each) => [partitionName(each.topic, each.partition), each]));
    for (const name of this.#positions.keys()) {
      if (owned.has(name)) continue;
      this.#positions.delete(name);
      this.#lags.delete(name);
    }
    const fresh = [...owned].filter(([name]) => !this.#positions.has(name));
    if (fresh.length === 0) return;
    const committed = await seat.committed(fresh.map(([, partition]) => partition));
    const starts = new Map<string, number[]>();
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      let offset = committed[i] ?? null;
      if (offset === null) {
        if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
        offset = starts.get(topic)![partition] ?? 0;
      }
      this.#positions.set(name, { topic, partition, offset });
    }
  }
}
