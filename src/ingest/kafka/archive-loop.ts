/**
 * The events of each folded partition, moved to the offline tables: every one once, whatever crashes.
 *
 * A pass goes on from what the table says that it holds, not from what this process remembers: it reads the topic
 * again from there, takes the records that the fold has taken, by the same rules, and commits them together with where
 * the next pass is to go on. It does not pass the fold's own stored position: all ids that it must know are then in
 * the store. Nor does the move that a correction waits for: it ends where the correction stands, which is folded next.
 */
import { isOnefoldError } from "../../base/errors.ts";
import { TurnQueue } from "../../base/turn-queue.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { ArchivePlace } from "../../offline-store/archive-places.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import type { PartitionedEvent, PartitionedEvents, PlaceChange } from "../../offline-store/partitioned-events.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchFrom, TopicFacts } from "./records.ts";
import { PartitionFold } from "./partition-fold.ts";
import { type RouteParts, routeParts } from "./route-parts.ts";
import type { FoldPosition } from "./position.ts";
import type { SourceRoutes } from "./routes.ts";

/** What a pass must know to go on, beside the offset. */
export interface ArchiveMemory extends Omit<FoldPosition, "offset" | "views"> {
  /** Of the topic: with it a reader finds an entity's partition. */
  readonly partitionCount: number;
  /** Offset of the first record that was looked at; absent where it was not written down. */
  readonly begins?: number;
}

export type RouteArchive = PartitionedEvents<ArchiveMemory>;

export interface ArchiveLoopOptions {
  readonly connection: Pick<KafkaConnection, "fetch" | "offsets">;
  readonly store: OnlineStore;
  readonly plans: readonly SourceRoutes[];
  readonly topics: ReadonlyMap<string, TopicFacts>;
  /** By folded topic. */
  readonly archives: ReadonlyMap<string, RouteArchive>;
  /** Stored positions of the partitions that this worker folds. */
  folded(): readonly FetchFrom[];
}

const ROWS_PER_COMMIT = 50_000;
const WAIT_MS = 500;
/** Another worker that has archived the same first. */
const CONFLICTS_MAX = 10;

export class ArchiveLoop {
  readonly #options: ArchiveLoopOptions;
  readonly #routes: ReadonlyMap<string, RouteParts>;
  /** Passes and moves that corrections wait for go on from the same places. */
  readonly #turns = new TurnQueue();
  events = 0;

  constructor(options: ArchiveLoopOptions) {
    this.#options = options;
    // The views are of no concern here: what is archived is what every view on the route is given.
    const parts = options.plans.flatMap(routeParts);
    this.#routes = new Map(parts.map((each) => [each.route.topic, { ...each, route: { ...each.route, views: [] } }]));
  }

  /** Archives what is folded when the call is made. Throws `TABLE_CONFLICT` where another worker was faster. */
  async pass(): Promise<void> {
    for (const [topic, archive] of this.#options.archives) {
      const folded = this.#options.folded().filter((each) => each.topic === topic);
      while (folded.length > 0 && (await this.#turns.take(() => this.#passOf(topic, archive, folded))));
    }
  }

  /** Archives the events of a topic before these offsets, all of which are folded. */
  async passTo(topic: string, places: readonly FetchFrom[]): Promise<void> {
    const archive = this.#options.archives.get(topic)!;
    const pass = () => this.#turns.take(() => this.#passOf(topic, archive, places));
    for (let conflicts = 0; ;) {
      try {
        if (!(await pass())) return;
      } catch (error) {
        if (!isOnefoldError(error) || error.code !== "TABLE_CONFLICT" || ++conflicts === CONFLICTS_MAX) throw error;
      }
    }
  }

  files(topic: string): Promise<readonly TableFile[]> {
    return this.#options.archives.get(topic)!.files();
  }

  /** A partition (of these) whose archive does not begin with its first record; null where all do. */
  async cutPartition(topic: string, of?: readonly number[]): Promise<number | null> {
    const places = await this.#options.archives.get(topic)!.places();
    const starts = await this.#options.connection.offsets(topic, "start");
    const cut = starts.findIndex((start, partition) => {
      if (of?.includes(partition) === false) return false;
      return (places.get(partition)?.memory.begins ?? start) > 0;
    });
    return cut === -1 ? null : cut;
  }

  /** Resolves with whether there is more. */
  async #passOf(topic: string, archive: RouteArchive, folded: readonly FetchFrom[]): Promise<boolean> {
    const places = await archive.places();
    const behind = folded.filter(({ partition, offset }) => (places.get(partition)?.offset ?? 0) < offset);
    if (behind.length === 0) return false;
    const starts = await this.#options.connection.offsets(topic, "start");
    const events: PartitionedEvent[] = [];
    const changes: PlaceChange<ArchiveMemory>[] = [];
    let isMore = false;
    for (const { partition, offset: end } of behind) {
      if (events.length >= ROWS_PER_COMMIT) {
        isMore = true;
        break;
      }
      const after = places.get(partition) ?? null;
      const fold = this.#foldAt(topic, partition, starts[partition] ?? 0, after);
      while (fold.offset < end && events.length < ROWS_PER_COMMIT) {
        for (const event of await this.#read(fold, topic, end)) events.push({ ...event, partition });
      }
      isMore ||= fold.offset < end;
      const { offset, views: _views, ...position } = fold.position;
      const start = starts[partition] ?? 0;
      // A topic that has its first record now had it when it was archived.
      const begins = after === null || start === 0 ? start : after.memory.begins;
      const memory = {
        ...position,
        partitionCount: this.#options.topics.get(topic)!.partitionCount,
        ...(begins === undefined ? {} : { begins }),
      };
      if (offset > (after?.offset ?? 0)) changes.push({ partition, offset, memory, after });
    }
    // Copies and duplicates alone are no reason to commit.
    if (events.length === 0) return false;
    await archive.append(events, changes);
    this.events += events.length;
    return isMore;
  }

  #foldAt(
    topic: string,
    partition: number,
    startOffset: number,
    place: ArchivePlace<ArchiveMemory> | null,
  ): PartitionFold {
    const topicId = this.#options.topics.get(topic)!.id;
    const position = place === null ? null : { ...place.memory, offset: place.offset, views: {} };
    return new PartitionFold({ ...this.#routes.get(topic)!, partition, topicId, startOffset, position });
  }

  async #read(fold: PartitionFold, topic: string, end: number) {
    const { connection, store } = this.#options;
    const { partition } = fold.options;
    const [fetched] = await connection.fetch([{ topic, partition, offset: fold.offset }], WAIT_MS, "archive");
    if (fetched === undefined || fetched.nextOffset === fold.offset) return [];
    const records = fetched.records.filter(({ offset }) => offset < end);
    const reads = fold.admit(records, Math.min(fetched.nextOffset, end));
    if (reads.length > 0) {
      const { states } = await store.read(reads);
      for (const [i, read] of reads.entries()) fold.load(read, states[i] ?? null);
    }
    const events = fold.fold();
    fold.takeRefused();
    fold.committed(fold.takeWrites(), []);
    return events;
  }
}
