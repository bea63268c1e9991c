/**
 * The events of each folded partition, moved to the offline tables: every one once, whatever crashes.
 *
 * A pass goes on from what the table says that it holds, not from what this process remembers: it reads the topic
 * again from there, takes the records that the fold has taken, by the same rules, and commits them together with where
 * the next pass is to go on. It does not pass the fold's own stored position: all ids that it must know are then in
 * the store.
 */
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { ArchivePlace } from "../../offline-store/archive-places.ts";
import type { PartitionedEvent, PartitionedEvents, PlaceChange } from "../../offline-store/partitioned-events.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchFrom, TopicFacts } from "./records.ts";
import { PartitionFold, type RouteParts, routeParts } from "./partition-fold.ts";
import type { FoldPosition } from "./position.ts";
import type { SourceRoutes } from "./routes.ts";

/** What a pass must know to go on, beside the offset. */
export interface ArchiveMemory extends Omit<FoldPosition, "offset" | "views"> {
  /** Of the topic: with it a reader finds an entity's partition. */
  readonly partitionCount: number;
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

export class ArchiveLoop {
  readonly #options: ArchiveLoopOptions;
  readonly #routes: ReadonlyMap<string, RouteParts>;
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
      while (folded.length > 0 && (await this.#passOf(topic, archive, folded)));
    }
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
      const memory = { ...position, partitionCount: this.#options.topics.get(topic)!.partitionCount };
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
