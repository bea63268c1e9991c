/**
 * Answers of a server on Redis that are given again without asking it: each has what it says that it has, and is gone with
 * whatever would make a read give another.
 *
 * ONEFOLD_SEED=n asks and pushes otherwise.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { type RedisServer, startRedis } from "../../services/redis.ts";
import { definitions, OnlineWorld } from "./online-world.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 43);
const USERS = 12;
const describeWithOurs = await describeWhere("redis", { ours: true });

let folder: string;
const closers: (() => Promise<unknown> | void)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-kept-online-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly payments: number;
  readonly latest: number | null;
  readonly asOf: Micros;
  readonly ageMs: number;
}

class Doors {
  readonly world: OnlineWorld;
  readonly redis: RedisServer;
  readonly #http: string;
  readonly #resp: Redis;
  /** Answers that were given again. */
  kept = 0;

  private constructor(world: OnlineWorld, redis: RedisServer, http: string, resp: Redis) {
    this.world = world;
    this.redis = redis;
    this.#http = http;
    this.#resp = resp;
  }

  static async open(): Promise<Doors> {
    const redis = await startRedis();
    closers.push(() => redis.close());
    const world = new OnlineWorld(join(folder, "data"), `${redis.url}/?prefix=${randomUUID()}:&timeout_ms=2000`, 0);
    closers.push(() => world.close());
    await world.openOwner();
    await world.owner.apply(definitions);
    await world.openServer();
    const http = await world.server.serve({ port: 0 });
    const resp = await world.server.serveResp({ port: 0 });
    const client = new Redis(Number(new URL(resp.url).port), { retryStrategy: () => null });
    const doors = new Doors(world, redis, http.url, client);
    const served = (message: unknown): void => {
      if ((message as { isKept: boolean }).isKept) doors.kept++;
    };
    subscribe("onefold:served", served);
    closers.push(
      () => http.close(),
      () => resp.close(),
      () => client.disconnect(),
      () => void unsubscribe("onefold:served", served),
    );
    return doors;
  }

  /** Of the view `spending`, with another entity that never changes. */
  async overHttp(user: number): Promise<Answer> {
    const response = await fetch(`${this.#http}/services/plain/vector`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ entities: { user_id: `u${user}`, shop_id: 4 } }),
    });
    const { features, metadata, error } = (await response.json()) as Record<string, any>;
    if (error !== undefined) throw Object.assign(new Error(error.message as string), { code: error.code as string });
    return {
      payments: Number(features.payments),
      latest: features.latest as number | null,
      asOf: parseMicros(metadata.as_of as string),
      ageMs: metadata.snapshot_age_ms as number,
    };
  }

  async overResp(user: number): Promise<Pick<Answer, "payments" | "latest">> {
    const features = JSON.parse((await this.#resp.call("FGETJSON", "plain", `u${user}`, "4")) as string) as Answer;
    return { payments: Number(features.payments), latest: features.latest };
  }

  async overRespText(user: number): Promise<Pick<Answer, "payments" | "latest">> {
    const [answer] = await this.overPipeline([user]);
    return answer!;
  }

  /** In one go. */
  async overPipeline(users: readonly number[]): Promise<Pick<Answer, "payments" | "latest">[]> {
    const pipeline = this.#resp.pipeline();
    for (const user of users) pipeline.call("FGET", "plain", `u${user}`, "4");
    return (await pipeline.exec())!.map(([error, values]) => {
      if (error !== null) throw error;
      return Doors.#answerOf(values as (string | null)[]);
    });
  }

  static #answerOf(values: readonly (string | null)[]): Pick<Answer, "payments" | "latest"> {
    const names = ["spent_1h", "payments", "latest", "large"];
    const latest = values[names.indexOf("latest")];
    return {
      payments: Number(values[names.indexOf("payments")]),
      latest: latest === null || latest === undefined ? null : Number(latest),
    };
  }
}

describeWithOurs("answers of a server on Redis that are given again", () => {
  it("have every event that they say they have, over every door, while events come in", async () => {
    console.log(`asks and pushes are random by seed ${SEED} (ONEFOLD_SEED)`);
    const doors = await Doors.open();
    const { world } = doors;
    const random = new SeededRandom(SEED);
    const over = new AbortController();
    /** By user: when it was acknowledged that so many payments were there. */
    const acknowledged = Array.from({ length: USERS }, () => [] as Micros[]);
    const sent = Array.from({ length: USERS }, () => 0);
    const began = performance.now();
    // The world's clock, kept going.
    const tick = (): void => world.clock.advanceTo((START_MICROS + passed()) as Micros);
    const START_MICROS = world.clock.now();
    const passed = (): number => Math.floor((performance.now() - began) * 1000);
    const pushing = (async () => {
      while (!over.signal.aborted) {
        tick();
        const user = random.integer(0, USERS - 1);
        sent[user]!++;
        await world.owner.push("payments", [world.payment(`u${user}`, 1, sent[user]!)]);
        tick();
        acknowledged[user]!.push(world.clock.now());
        await sleep(random.integer(0, 25));
      }
    })();
    closers.push(async () => {
      over.abort();
      await pushing;
    });
    const seen = Array.from({ length: USERS }, () => 0);
    let asked = 0;
    for (const end = Date.now() + 6000; Date.now() < end; asked++) {
      tick();
      const user = random.integer(0, USERS - 1);
      const door = random.integer(0, 3);
      if (door === 1) {
        const users = Array.from({ length: random.integer(2, 20) }, () => random.integer(0, USERS - 1));
        const answers = await doors.overPipeline(users);
        for (const [i, each] of users.entries()) {
          const { payments, latest } = answers[i]!;
          const where = `seed ${SEED}, user ${each} of a pipeline, ask ${asked}: ${payments}, ${latest}`;
          if (payments < seen[each]! || payments > sent[each]!) throw new Error(`${where}, not ${seen[each]} or more`);
          if ((latest ?? 0) !== payments) throw new Error(`${where} is of two moments, or of another user`);
          seen[each] = payments;
        }
        continue;
      }
      const answer = await (door === 0 ? doors.overResp(user) : doors.overHttp(user));
      const where = `seed ${SEED}, user ${user}, door ${door}, ask ${asked}: ${JSON.stringify(answer)}`;
      if (answer.payments < seen[user]!) throw new Error(`${where} went back from ${seen[user]}`);
      if (answer.payments > sent[user]!) throw new Error(`${where}, of ${sent[user]} that were sent`);
      if ((answer.latest ?? 0) !== answer.payments) throw new Error(`${where} is of two moments`);
      seen[user] = answer.payments;
      if ("asOf" in answer) {
        const { asOf, ageMs } = answer as Answer;
        const hasAll = acknowledged[user]!.filter((at) => at < asOf - ageMs * 1000).length;
        if (answer.payments < hasAll) throw new Error(`${where} lacks some of ${hasAll}`);
      }
      if (asked % 3 === 0) await sleep(1);
    }
    over.abort();
    await pushing;
    for (const [user, payments] of sent.entries()) {
      for (const ask of [doors.overResp, doors.overRespText, doors.overHttp]) {
        await expect.poll(async () => (await ask.call(doors, user)).payments, { timeout: 20_000 }).toBe(payments);
      }
    }
    expect(doors.kept).toBeGreaterThan(asked / 10);
  });

  it("say how old their states may be at the moment, and are given for no longer than a second without a word of Redis", async () => {
    const doors = await Doors.open();
    const { world } = doors;
    await world.owner.push("payments", [world.payment("u1", 4, 1)]);
    await expect.poll(async () => (await doors.overHttp(1)).payments, { timeout: 20_000 }).toBe(1);
    for (let n = 0; n < 3; n++) await doors.overHttp(1);
    const before = doors.kept;
    // Its owner tells that nothing is missing; the clock of both goes on by hand.
    for (let n = 0; n < 5; n++) {
      world.clock.advanceTo((world.clock.now() + 60_000_000) as Micros);
      await expect.poll(async () => (await doors.overHttp(1)).ageMs, { timeout: 20_000 }).toBeLessThan(60_000);
      const { asOf, ageMs } = await doors.overHttp(1);
      expect([asOf, ageMs < 60_000]).toEqual([world.clock.now(), true]);
    }
    expect(doors.kept).toBeGreaterThan(before + 5);
    await doors.redis.pause();
    const pausedMs = performance.now();
    let lastKeptMs = 0;
    const code = async (): Promise<string> => {
      const [askedMs, { kept }] = [performance.now(), doors];
      try {
        await doors.overHttp(1);
        if (doors.kept > kept) lastKeptMs = askedMs - pausedMs;
        return "";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    await expect.poll(code, { timeout: 10_000, interval: 5 }).toMatch(/^STORE_/);
    // By when it was asked, however busy the machine; the time limit of the store is that of the first that asks it again.
    expect(lastKeptMs).toBeLessThan(1100);
    await doors.redis.resume();
    await expect
      .poll(
        async () =>
          doors.overHttp(1).then(
            ({ payments }) => payments,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(1);
  });

  it("are kept of the first that is asked for, alone and behind others", async () => {
    const doors = await Doors.open();
    const { world } = doors;
    const users = [1, 2, 3, 4, 5, 6, 7, 8];
    await world.owner.push(
      "payments",
      users.map((user) => world.payment(`u${user}`, 3, user)),
    );
    const latest = async (): Promise<unknown> => (await doors.overPipeline(users)).map((answer) => answer.latest);
    await expect.poll(latest, { timeout: 20_000 }).toEqual(users);
    const first = await doors.overPipeline(users);
    expect(await doors.overPipeline([...users].reverse())).toEqual([...first].reverse());
    // One is not where a place was heard while its states were fetched, or one of the vectors is looked at for drift.
    const repeated = async (group: number): Promise<number> => {
      const others = users.map((user) => 100 * group + user);
      await doors.overPipeline(others);
      const { kept } = doors;
      await doors.overPipeline(others);
      return doors.kept - kept;
    };
    let group = 0;
    await expect.poll(() => repeated(++group), { timeout: 20_000, interval: 1 }).toBe(users.length);
    // A client's heads are told by their bytes once they came before.
    for (const user of [11, 12]) await doors.overHttp(user);
    const again = async (user: number): Promise<number> => {
      await doors.overHttp(user);
      const { kept } = doors;
      await doors.overHttp(user);
      return doors.kept - kept;
    };
    let user = 20_000;
    await expect.poll(() => again(++user), { timeout: 20_000, interval: 1 }).toBe(1);
  });

  it("are gone with the Redis that they were read from", async () => {
    const doors = await Doors.open();
    const { world } = doors;
    await world.owner.push("payments", [world.payment("u1", 4, 7)]);
    await expect.poll(async () => (await doors.overHttp(1)).latest, { timeout: 20_000 }).toBe(7);
    const { kept } = doors;
    await expect.poll(async () => (await doors.overHttp(1), doors.kept - kept), { timeout: 20_000 }).toBeGreaterThan(0);
    await doors.redis.kill();
    await world.owner.push("payments", [world.payment("u1", 4, 8)]);
    await doors.redis.restart();
    // It had nothing on disk: the owner writes all of it anew.
    await expect
      .poll(
        async () =>
          doors.overHttp(1).then(
            ({ latest }) => latest,
            () => null,
          ),
        { timeout: 60_000, interval: 5 },
      )
      .toBe(8);
  }, 120_000);
});
