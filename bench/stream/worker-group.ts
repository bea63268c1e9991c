/**
 * Some workers on a topic of their own, and a Redis prefix of their own.
 *
 * A rate is measured from a standing start: the workers are stopped (SIGSTOP) while the topic is filled, so that who fills
 * it takes no time from them, and the clock runs from when they go on until the last event is in Redis.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { PARTITIONS, payment } from "./workload.ts";
import type { WorkerTask, WorkerTold } from "./worker-process.ts";

const RECORDS_A_REQUEST = 5000;
const WARM_UP_EVENTS = 400;
/** Longer than any measurement should take: then the run ends rather than wait. */
const GIVE_UP_MS = 60_000;

interface Member {
  readonly child: ChildProcess;
  told: WorkerTold;
}

export interface Addresses {
  readonly kafka: string;
  readonly redisUrl: string;
}

export class WorkerGroup {
  readonly topic: string;
  /** With the prefix of the group. */
  readonly redisUrl: string;
  readonly #connection: KafkaConnection;
  readonly #members: Member[] = [];
  #sent = 0;

  private constructor(connection: KafkaConnection, topic: string, redisUrl: string) {
    this.#connection = connection;
    this.topic = topic;
    this.redisUrl = redisUrl;
  }

  /** Resolves once every worker routes and folds. */
  static async start(connection: KafkaConnection, { kafka, redisUrl }: Addresses, count: number): Promise<WorkerGroup> {
    const prefix = `bench-${randomUUID().slice(0, 8)}`;
    const topic = `${prefix}-payments`;
    await connection.createTopic({ name: topic, partitionCount: PARTITIONS, replicas: 1, configs: {} });
    while (!(await connection.topics([topic])).has(topic)) await sleep(50);
    const group = new WorkerGroup(connection, topic, `${redisUrl}?prefix=${prefix}:&timeout_ms=10000`);
    const task: WorkerTask = { kafka, redisUrl: group.redisUrl, topic, prefix };
    for (let i = 0; i < count; i++) group.#startOne(task);
    const hasAll = (): boolean => group.#members.reduce((sum, { told }) => sum + told.partitions, 0) === PARTITIONS;
    const isShared = (): boolean => hasAll() && group.#members.every(({ told }) => told.partitions > 0);
    await group.#until(isShared, "share the partitions");
    const areWarm = (): boolean => group.#members.every(({ told }) => told.routed > 0 && told.folded > 0);
    while (!areWarm()) {
      await group.fill(WARM_UP_EVENTS, 100);
      await group.folded();
    }
    return group;
  }

  #startOne(task: WorkerTask): void {
    const child = fork(fileURLToPath(new URL("./stream/worker-process.mjs", import.meta.url)), [JSON.stringify(task)]);
    const member: Member = { child, told: { routed: 0, folded: 0, partitions: 0 } };
    child.on("message", (told) => (member.told = told as WorkerTold));
    this.#members.push(member);
  }

  /** Events of `accounts` accounts, over all partitions. */
  async fill(events: number, accounts: number): Promise<void> {
    for (let from = 0; from < events; from += RECORDS_A_REQUEST) {
      const count = Math.min(RECORDS_A_REQUEST, events - from);
      await this.send(Array.from({ length: count }, (_, i) => payment(this.#sent + i, accounts, Date.now())));
    }
  }

  async send(rows: readonly object[]): Promise<void> {
    const first = this.#sent;
    this.#sent += rows.length;
    await this.#connection.send(
      rows.map((row, i) => ({
        topic: this.topic,
        partition: (first + i) % PARTITIONS,
        key: null,
        value: Buffer.from(JSON.stringify(row)),
        headers: new Map<string, string>(),
      })),
    );
  }

  /** Resolves once all that was sent is in Redis. What moves between workers meanwhile may count twice. */
  folded(): Promise<void> {
    return this.#until(() => this.#members.reduce((sum, { told }) => sum + told.folded, 0) >= this.#sent, "fold all");
  }

  /** Events a second, from a standing start. */
  async rate(events: number, accounts: number): Promise<number> {
    this.#signal("SIGSTOP");
    await this.fill(events, accounts);
    const began = performance.now();
    this.#signal("SIGCONT");
    await this.folded();
    return events / ((performance.now() - began) / 1000);
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#members.map(async ({ child }) => {
        if (child.exitCode !== null) return;
        child.kill("SIGCONT");
        child.kill("SIGTERM");
        const killing = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await once(child, "exit");
        clearTimeout(killing);
      }),
    );
  }

  #signal(name: NodeJS.Signals): void {
    for (const { child } of this.#members) child.kill(name);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const giveUp = performance.now() + GIVE_UP_MS;
    while (!isSo()) {
      const isDead = this.#members.some(({ child }) => child.exitCode !== null);
      if (isDead || performance.now() > giveUp) {
        const told = JSON.stringify(this.#members.map((each) => each.told));
        throw new Error(`workers did not ${what}: ${told} of ${this.#sent}`);
      }
      await sleep(1);
    }
  }
}
