/** The check of the serving benchmark's replies finds what is wrong with one, and lets pass what may be. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkReplies, type LiveEvent, type SeenReply } from "../../bench/serving/oracle-check.ts";
import { accountKey } from "../../bench/serving/payment-row.ts";
import { paymentHistorySql, POINT_DAYS, pointDefinitions, pointModel } from "../../bench/serving/payments.ts";
import { prepareWorld, type World } from "../../bench/serving/world.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND } from "../../src/base/micros.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const ACCOUNTS = 30;
/** More than the check allows two clocks to be apart. */
const APART_MICROS = 20_000;

let folder: string;
let world: World;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-check-"));
  const historySql = paymentHistorySql(ACCOUNTS, POINT_DAYS, systemClock.now());
  world = await prepareWorld({ name: "checked", folder, definitions: pointDefinitions, historySql });
  platform = await openPlatform({ dataDir: world.dataDir });
});
afterAll(async () => {
  await platform?.close();
  await rm(folder, { recursive: true });
});

async function ask(key: string): Promise<SeenReply> {
  const askedAt = systemClock.now();
  const { features } = await platform.vector(pointModel.name, { account: key });
  return { key, service: pointModel.name, values: Object.values(features), askedAt, heardAt: systemClock.now() };
}

async function push(key: string): Promise<LiveEvent> {
  const sentAt = systemClock.now();
  const at = (sentAt - MICROS_PER_SECOND) as Micros;
  const row = { account: key, at: { micros: at }, amount: 12.5, declined: true };
  const { outcomes } = await platform.push("payments", [row]);
  const { offset } = outcomes[0] as { readonly offset: number };
  return { offset, row: [key, at, 12.5, true], sentAt, acknowledgedAt: systemClock.now() };
}

const moved = (reply: SeenReply, micros: number): SeenReply => ({
  ...reply,
  askedAt: (reply.askedAt + micros) as Micros,
  heardAt: (reply.heardAt + micros) as Micros,
});

describe("checkReplies", () => {
  it("finds every true reply right, of accounts with merged buckets too", async () => {
    const replies = await Promise.all(Array.from({ length: ACCOUNTS }, (_, i) => ask(accountKey(i))));
    expect(world.stored[0]!.buckets.at(-1)).toBeGreaterThan(128);
    expect(await checkReplies(world, replies, [])).toEqual({ replies: ACCOUNTS, wrong: 0 });
  });

  it("finds a value wrong that is a little off, missing, or another account's", async () => {
    const true0 = await ask(accountKey(0));
    const off = true0.values.map((value, i) => (i === 2 ? (value as number) + 0.01 : value));
    const missing = true0.values.with(3, null);
    const replies = [true0, { ...true0, values: off }, { ...true0, values: missing }, { ...true0, key: accountKey(1) }];
    expect(await checkReplies(world, replies, [])).toEqual({ replies: 4, wrong: 3 });
  });

  it("asks for what was acknowledged before, and nothing sent after", async () => {
    const key = accountKey(2);
    const before = await ask(key);
    const event = await push(key);
    const after = await ask(key);
    const asSeen = [moved(before, -APART_MICROS), moved(after, APART_MICROS)];
    expect(await checkReplies(world, asSeen, [event])).toEqual({ replies: 2, wrong: 0 });
    const tooLate = moved(before, event.acknowledgedAt + APART_MICROS - before.askedAt);
    const tooEarly = moved(after, event.sentAt - APART_MICROS - after.heardAt);
    expect(await checkReplies(world, [tooLate, tooEarly], [event])).toEqual({ replies: 2, wrong: 2 });
  });

  it("takes either where the event was on its way", async () => {
    const key = accountKey(3);
    const before = await ask(key);
    const event = await push(key);
    const after = await ask(key);
    const during = { ...event, sentAt: before.askedAt, acknowledgedAt: after.heardAt };
    expect(await checkReplies(world, [before, after], [during])).toEqual({ replies: 2, wrong: 0 });
  });

  it("reads no earlier than what the reply saw was sent, however long it took", async () => {
    const key = accountKey(4);
    const event = await push(key);
    const after = await ask(key);
    const slow = { ...after, askedAt: (event.sentAt - 3 * MICROS_PER_SECOND) as Micros };
    expect(await checkReplies(world, [slow], [event])).toEqual({ replies: 1, wrong: 0 });
  });
});
