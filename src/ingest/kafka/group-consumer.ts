/**
 * A member of a consumer group, which is given partitions by the group's leader and commits where to go on; or somebody who
 * only asks where a group stands.
 */
import type { OnefoldError } from "../../base/errors.ts";
import { grouped } from "../../base/grouped.ts";
import type { GroupRequests } from "./group-requests.ts";
import { type FindBy, kafkaError } from "./kafka-error.ts";
import type { GroupPosition, TopicPartition } from "./records.ts";
import type { NotedOffset } from "./route-position.ts";

/** Who gets which partitions: member id to what it is given. Called at the group's leader. */
export type GroupAssigner = (
  memberIds: readonly string[],
  partitions: readonly TopicPartition[],
) => ReadonlyMap<string, readonly TopicPartition[]>;

interface PartitionsOfTopic {
  readonly topic: string;
  readonly partitions: number[];
}

/** What the library's consumer does of it, which `connection.ts` makes. */
export interface GroupClient {
  readonly groupId: string;
  readonly topics: { trackAll(...topics: string[]): unknown };
  on(event: "consumer:group:join", listener: (joined: { assignments?: PartitionsOfTopic[] }) => void): unknown;
  on(event: "consumer:heartbeat:error", listener: (failed: { error: Error }) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  joinGroup(options: object): Promise<unknown>;
  commit(options: { offsets: CommittedOffset[] }): Promise<unknown>;
  listCommittedOffsets(options: { topics: PartitionsOfTopic[] }): Promise<Map<string, bigint[]>>;
  close(force: boolean): unknown;
}

interface CommittedOffset extends TopicPartition {
  readonly offset: bigint;
  readonly leaderEpoch: number;
}

/** A member of a group, under one id. After `onFailed` it may `join` again, or another one takes its place. */
export class GroupConsumer {
  readonly #client: GroupClient;
  readonly #requests: GroupRequests;
  readonly #topics: readonly string[];
  /** Called with what the member is given, each time the group has settled. */
  onAssigned: (partitions: readonly TopicPartition[]) => void = () => {};
  /** Called once it cannot go on. */
  onFailed: (error: OnefoldError) => void = () => {};
  /** The group is another broker's by now, and the library goes on asking this one. */
  isElsewhere = false;

  constructor(client: GroupClient, requests: GroupRequests, topics: readonly string[]) {
    this.#client = client;
    this.#requests = requests;
    this.#topics = topics;
    client.on("consumer:group:join", ({ assignments }) => {
      this.onAssigned(
        (assignments ?? []).flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition }))),
      );
    });
    // After an error that says nothing of the group the library is silent for good: somebody must join again.
    client.on("consumer:heartbeat:error", ({ error }) => {
      this.onFailed(this.#failure(`keeping the place in group ${client.groupId}`, error));
    });
    client.on("error", (error) => this.onFailed(this.#failure(`joining group ${client.groupId}`, error)));
  }

  /** Joins, or joins again under the same id. Throws `KAFKA_UNAVAILABLE`. */
  async join(): Promise<void> {
    this.#client.topics.trackAll(...this.#topics);
    try {
      await this.#client.joinGroup({});
    } catch (error) {
      throw this.#failure(`joining group ${this.#client.groupId}`, error);
    }
  }

  #failure(doing: string, error: unknown): OnefoldError {
    const elsewhere = (error as { findBy?: FindBy }).findBy?.("apiId", "NOT_COORDINATOR") ?? null;
    if (elsewhere !== null) this.isElsewhere = true;
    return kafkaError(doing, error);
  }

  /** Commits where to go on. Throws `KAFKA_UNAVAILABLE`, also where the group has gone on without this member. */
  async commit(positions: readonly GroupPosition[]): Promise<void> {
    if (positions.length === 0) return;
    try {
      this.#requests.toNote(positions);
      await this.#client.commit({
        offsets: positions.map(({ topic, partition, offset }) => ({
          topic,
          partition,
          offset: BigInt(offset),
          leaderEpoch: -1,
        })),
      });
    } catch (error) {
      throw kafkaError(`committing positions of group ${this.#client.groupId}`, error);
    }
  }

  /** Where the group is to go on; null where nothing was committed. */
  async committed(partitions: readonly TopicPartition[]): Promise<(NotedOffset | null)[]> {
    try {
      const byTopic = grouped(partitions, ({ topic }) => topic);
      const topics = Array.from(byTopic, ([topic, of]) => ({
        topic,
        partitions: of.map(({ partition }) => partition),
      }));
      const offsets = await this.#client.listCommittedOffsets({ topics });
      return partitions.map(({ topic, partition }) => {
        const offset = offsets.get(topic)?.[partition];
        if (offset === undefined || offset < 0n) return null;
        return { offset: Number(offset), note: this.#requests.notesRead.get(`${topic}/${partition}`) ?? null };
      });
    } catch (error) {
      throw kafkaError(`reading positions of group ${this.#client.groupId}`, error);
    }
  }

  /** Leaves the group, so that the others need not wait for the session to end; a static member keeps its place. */
  async leave(staysMember: boolean): Promise<void> {
    this.onAssigned = () => {};
    this.onFailed = () => {};
    this.#requests.leaves = !staysMember;
    await Promise.resolve(this.#client.close(true)).catch(() => undefined);
  }
}
