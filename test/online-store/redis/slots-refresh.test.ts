/** How a cluster is asked who has which slots, by nodes that say so late, or no longer. */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it, vi } from "vitest";
import { parseRedisAddress } from "../../../src/online-store/redis/redis-address.ts";
import { RedisLink } from "../../../src/online-store/redis/redis-link.ts";
import { listening } from "./listening.ts";

const TIMEOUT_MS = 2400;
/** Longer than a node has to say who has which slots. */
const LATE_MS = 1000;
const SLOTS = 16_384;
const KEY_OF_FIRST_NODE = "b";

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const close of closers.splice(0).reverse()) await close();
});

/** Of one master that has the first half of the slots, and of one that has the rest; what either says of them is `slots`. */
interface Nodes {
  readonly ports: readonly number[];
  /** Times that they were asked for them. */
  asked: number;
  lateMs: number;
  /** Takes connections and says no more. */
  silent: number | null;
  /** Who has all slots, where they are not halved. */
  owner: number | null;
}

async function nodes(): Promise<Nodes> {
  const found: Nodes & { ports: number[] } = { ports: [], asked: 0, lateMs: 0, silent: null, owner: null };
  for (const i of [0, 1]) found.ports.push(await listening(closers, (socket) => answering(socket, found, i)));
  return found;
}

function answering(socket: Socket, found: Nodes, i: number): void {
  socket.on("data", (bytes) => {
    if (found.silent === found.ports[i]) return;
    for (const command of bytes.toString().split(/(?=\*\d+\r\n)/)) {
      if (!/\r\ncluster\r\n/i.test(command)) {
        socket.write("+OK\r\n");
        continue;
      }
      found.asked += 1;
      const said = slotsOf(found);
      setTimeout(() => socket.write(said), found.lateMs);
    }
  });
}

function slotsOf({ ports, owner }: Nodes): string {
  const half = SLOTS / 2;
  const range = (from: number, to: number, port: number): string =>
    `*3\r\n:${from}\r\n:${to - 1}\r\n*2\r\n$9\r\n127.0.0.1\r\n:${port}\r\n`;
  if (owner !== null) return `*1\r\n${range(0, SLOTS, owner)}`;
  return `*2\r\n${range(0, half, ports[0]!)}${range(half, SLOTS, ports[1]!)}`;
}

async function linked({ ports }: Nodes): Promise<RedisLink> {
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  const link = await RedisLink.open(parseRedisAddress(`redis://${hosts.join(",")}/?timeout_ms=${TIMEOUT_MS}`), {});
  closers.push(() => link.close());
  await link.connected();
  return link;
}

it("finds what has replaced a silent node in time, also after one answer that came too late for several askers", async () => {
  const found = await nodes();
  // A node is asked in any order: each of them may be the silent one, first.
  const links = await Promise.all(Array.from({ length: 8 }, () => linked(found)));
  found.lateMs = LATE_MS;
  for (const link of links) for (let i = 0; i < 3; i++) link.refreshServers();
  await sleep(2.5 * LATE_MS);
  found.lateMs = 0;
  const asked = found.asked;
  for (const link of links) link.refreshServers();
  await expect.poll(() => found.asked - asked).toBeGreaterThanOrEqual(links.length);
  [found.silent, found.owner] = [found.ports[0]!, found.ports[1]!];
  const calls = links.map((link) => link.send([{ name: "get", args: [KEY_OF_FIRST_NODE] }]));
  const ended = await Promise.allSettled(calls);
  expect(ended.map(({ status }) => status)).toEqual(ended.map(() => "fulfilled"));
});

it("leaves no timer behind where it is closed while a cluster that nobody waits for is asked", async () => {
  const toFake = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] as const;
  vi.useFakeTimers({ toFake: [...toFake], shouldAdvanceTime: true });
  const found = await nodes();
  const link = await linked(found);
  const { asked } = found;
  // Until it is asked by itself: nodes that have taken others' places are noticed.
  const next = async (): Promise<number> => {
    await vi.advanceTimersByTimeAsync(100);
    return found.asked;
  };
  found.lateMs = 200;
  await expect.poll(next, { interval: 1 }).toBe(asked + 1);
  await link.close();
  await vi.advanceTimersByTimeAsync(2 * TIMEOUT_MS);
  expect(vi.getTimerCount()).toBe(0);
});
