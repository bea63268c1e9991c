/**
 * Partitions that the group has given to a worker, each in the hands of its folds: the main one, and beside it that of views
 * that are behind (`late-fold.ts`), until they are one.
 */
import type { KafkaConnection } from "./connection.ts";
import { ClaimFold } from "./claim-fold.ts";
import type { FoldedPartition, PartitionPlace } from "./folded-partition.ts";
import type { FoldSight } from "../fold-sight.ts";
import { joinedPosition, type OpenedPartition, openPartition } from "./late-fold.ts";
import { routeParts } from "./route-parts.ts";
import { type FoldPosition, partitionName } from "./position.ts";
import type { TopicFacts, TopicPartition } from "./records.ts";
import type { SourceRoutes } from "./routes.ts";
import type { StoredPositions } from "./stored-positions.ts";

export interface OwnedPartitionsOptions {
  readonly connection: Pick<KafkaConnection, "offsets">;
  readonly plans: readonly SourceRoutes[];
  readonly of: "events" | "claims";
  readonly topics: ReadonlyMap<string, TopicFacts>;
  readonly positions: StoredPositions;
  readonly sight: FoldSight | undefined;
}

type Opener = (place: PartitionPlace, late: FoldPosition | null) => OpenedPartition;

export class OwnedPartitions {
  readonly #options: OwnedPartitionsOptions;
  /** By topic. */
  readonly #open: ReadonlyMap<string, Opener>;
  readonly #main = new Map<string, FoldedPartition>();
  readonly #late = new Map<string, FoldedPartition>();
  /** By name. */
  #given: ReadonlyMap<string, TopicPartition> = new Map();

  constructor(options: OwnedPartitionsOptions) {
    this.#options = options;
    this.#open = openersOf(options);
  }

  /** By the name of the partition. */
  get main(): ReadonlyMap<string, FoldedPartition> {
    return this.#main;
  }

  /** Of those, views that are behind the others. */
  get late(): ReadonlyMap<string, FoldedPartition> {
    return this.#late;
  }

  /** What the group has given to this worker: of those that are lost by it the caller lets go, then new ones are opened. */
  own(partitions: readonly TopicPartition[]): void {
    this.#given = new Map(partitions.map((each) => [partitionName(each.topic, each.partition), each]));
  }

  /** Names of those that are another's now. */
  get lost(): string[] {
    return [...this.#main.keys()].filter((name) => !this.#given.has(name));
  }

  foldsOf(name: string): FoldedPartition[] {
    return [this.#main.get(name), this.#late.get(name)].filter((fold) => fold !== undefined);
  }

  remove(name: string): void {
    this.#main.delete(name);
    this.#late.delete(name);
  }

  clear(): void {
    this.#main.clear();
    this.#late.clear();
  }

  /** Reads the positions of new ones, from which they go on. */
  async open(): Promise<void> {
    const { connection, topics, positions } = this.#options;
    const fresh = [...this.#given].filter(([name, { topic }]) => !this.#main.has(name) && this.#open.has(topic));
    if (fresh.length === 0) return;
    const starts = new Map<string, number[]>();
    for (const [, { topic }] of fresh) {
      if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
    }
    const places = fresh.map(([, { topic, partition }]) => {
      return { topic, partition, startOffset: starts.get(topic)![partition] ?? 0 };
    });
    const stored = await positions.read(places);
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      const { startOffset } = places[i]!;
      const [position, latePosition] = stored[i]!;
      const place = { partition, topicId: topics.get(topic)!.id, startOffset, position };
      const { main, late } = this.#open.get(topic)!(place, latePosition);
      positions.opened(main, position);
      this.#main.set(name, main);
      if (late === null) continue;
      positions.opened(late, latePosition);
      this.#late.set(name, late);
    }
  }

  /** Views that have come as far as the others are one with them. */
  async join(): Promise<void> {
    for (const [name, late] of this.#late) await this.#join(name, late);
  }

  async #join(name: string, late: FoldedPartition): Promise<void> {
    const { positions } = this.#options;
    const main = this.#main.get(name)!;
    const position = joinedPosition({ main, late });
    if (position === null) return;
    const { route, partition, topicId, startOffset } = main.options;
    const joined = await positions.join(main, late, position);
    this.#late.delete(name);
    const place = { partition, topicId, startOffset, position: joined };
    const fold = this.#open.get(route.topic)!(place, null).main;
    positions.opened(fold, joined);
    this.#main.set(name, fold);
  }
}

function openersOf({ plans, of, sight }: OwnedPartitionsOptions): Map<string, Opener> {
  const openers = new Map<string, Opener>();
  const shown = sight === undefined ? {} : { sight };
  for (const plan of plans) {
    const { claims, deadLetterTopic } = plan;
    if (of === "events") {
      for (const parts of routeParts(plan))
        openers.set(parts.route.topic, (place, late) => openPartition({ ...parts, ...shown }, place, late));
    } else if (claims !== null) {
      openers.set(claims.topic, (place) => {
        return { main: new ClaimFold({ route: claims, deadLetterTopic, ...place }), late: null };
      });
    }
  }
  return openers;
}
