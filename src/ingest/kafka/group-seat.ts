/**
 * A worker's lasting place in a consumer group: joined again whenever it is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { FetchFrom, GroupConsumer, KafkaConnection, TopicPartition } from "./connection.ts";
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
    const { connection, groupId, topics, onAssigned, onTrouble } = this.#options;
    const left = new Promise<null>((resolve) => (this.#leave = () => resolve(null)));
    while (!this.#left) {
      const member = connection.groupMember(groupId, topics, assignPartitions);
      this.#member = member;
      member.onAssigned = onAssigned;
      const lost = new Promise<OnefoldError>((resolve) => (member.onFailed = resolve));
      const joined = member.join().catch((error: unknown) => asOnefoldError(error));
      const trouble = (await Promise.race([joined, left])) ?? (await Promise.race([lost, left]));
      if (trouble instanceof OnefoldError) onTrouble(trouble);
      await member.leave(connection.settings.instanceId !== undefined);
      if (!this.#left) await Promise.race([sleep(AGAIN_MS), left]);
    }
  }

  /** Has the group share out anew: a topic has more partitions than it knew of. */
  async renew(): Promise<void> {
    await this.#present().join();
  }

  async commit(positions: readonly FetchFrom[]): Promise<void> {
    await this.#present().commit(positions);
  }

  async committed(partitions: readonly TopicPartition[]): Promise<(number | null)[]> {
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
