/**
 * A worker's lasting place in a consumer group: joined again whenever it is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { KafkaConnection } from "./connection.ts";
import type { GroupConsumer } from "./group-consumer.ts";
import type { GroupPosition, TopicPartition } from "./records.ts";
import type { NotedOffset } from "./route-position.ts";
import { assignPartitions } from "./sticky-assignment.ts";

const AGAIN_MS = 500;

export interface GroupSeatOptions {
  readonly connection: KafkaConnection;
  readonly groupId: string;
  readonly topics: readonly string[];
  onAssigned(partitions: readonly TopicPartition[]): void;
  /** Told each time that the place is lost or cannot be had. */
  onTrouble(error: OnefoldError): void;
}

export class GroupSeat {
  readonly #options: GroupSeatOptions;
  #member: GroupConsumer | null = null;
  #left = false;
  #held: Promise<void> | null = null;
  #leave: () => void = () => {};

  constructor(options: GroupSeatOptions) {
    this.#options = options;
  }

  /** Takes the place, and again whenever it is lost, until `leave`. */
  take(): void {
    this.#held ??= this.#hold();
  }

  async #hold(): Promise<void> {
    const { connection, groupId, topics } = this.#options;
    const left = new Promise<null>((resolve) => (this.#leave = () => resolve(null)));
    while (!this.#left) {
      const member = connection.groupMember(groupId, topics, assignPartitions);
      this.#member = member;
      member.onAssigned = this.#options.onAssigned;
      await this.#keep(member, left);
      await member.leave(connection.settings.instanceId !== undefined);
    }
  }

  /** Joins, and again under the same id, as long as the session may still stand. */
  async #keep(member: GroupConsumer, left: Promise<null>): Promise<void> {
    const { connection, onTrouble } = this.#options;
    let troubledSince = performance.now();
    while (!this.#left) {
      const lost = new Promise<OnefoldError>((resolve) => (member.onFailed = resolve));
      const refused = await Promise.race([member.join().then(() => null, asOnefoldError), left]);
      const trouble = refused ?? (await Promise.race([lost, left]));
      if (trouble === null) return;
      onTrouble(trouble);
      if (refused === null) troubledSince = performance.now();
      if (member.isElsewhere || performance.now() - troubledSince > connection.settings.sessionMs) return;
      await Promise.race([sleep(AGAIN_MS), left]);
    }
  }

  /** Has the group share out anew: a topic has more partitions than it knew of. */
  async renew(): Promise<void> {
    await this.#present().join();
  }

  async commit(positions: readonly GroupPosition[]): Promise<void> {
    await this.#present().commit(positions);
  }

  async committed(partitions: readonly TopicPartition[]): Promise<(NotedOffset | null)[]> {
    return this.#present().committed(partitions);
  }

  async leave(): Promise<void> {
    this.#left = true;
    this.#leave();
    await this.#held;
    this.#member = null;
  }

  #present(): GroupConsumer {
    if (this.#member === null)
      throw new OnefoldError("KAFKA_UNAVAILABLE", `no place in group ${this.#options.groupId}`);
    return this.#member;
  }
}
