/**
 * Random bytes at the fast door, for a few seconds, or for as many as `ONEFOLD_FUZZ_SECONDS` says, half of them
 * each: the answers
 * are the ordinary server's, a client that does nothing wrong notices nothing, there are never more connections than there
 * may be, and memory and open sockets stay what they were.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { SeededRandom } from "../../../src/testing/random.ts";
import { HOT } from "./known-requests.ts";
import { randomBytes, randomParts, randomStream } from "./mutations.ts";
import { vectorRequest } from "./request-text.ts";
import { answersOfBoth, differenceOf, openTwoDoors, splitAnswers, type TwoDoors } from "./two-doors.ts";
import { ConnectionWatch, type Fate, openHandles } from "../connection-watch.ts";
import type { HttpOptions } from "../../../src/serve/http.ts";
import { firstSeed } from "../../first-seed.ts";

const SECONDS = Number(process.env["ONEFOLD_FUZZ_SECONDS"] ?? 6) / 2;
const SEED = firstSeed();
const AT_ONCE = 12;
/** Fewer than would like to come in. */
const CONNECTIONS_MAX = 5;

let doors: TwoDoors;
async function open(options: HttpOptions = {}): Promise<void> {
  doors = await openTwoDoors(options);
  // So that answers are kept, and given again, as the ordinary server never does.
  for (const { world } of [doors.fast, doors.ordinary]) world.isSampling = false;
}
afterEach(() => doors?.close());

describe("whatever is sent", () => {
  it(
    `is answered as by the ordinary server, or refused (seed ${SEED})`,
    async () => {
      await open();
      const healthy = startHealthyClient(doors.fast.server.port);
      const endMs = performance.now() + SECONDS * 1000;
      let cases = 0;
      while (performance.now() < endMs) {
        const some = Array.from({ length: AT_ONCE }, () => SEED + cases++);
        await Promise.all(some.map((seed) => compareOnce(seed)));
      }
      expect(await healthy.stop()).toBeGreaterThan(cases / AT_ONCE);
      expect(doors.fast.failures).toEqual([]);
    },
    (SECONDS + 60) * 1000,
  );

  it(
    `never fells the server, holds its memory, meets another connection or is let in past the limit (seed ${SEED})`,
    async () => {
      await open({ connectionsMax: CONNECTIONS_MAX });
      const { port } = doors.fast.server;
      const watch = new ConnectionWatch(port);
      const healthy = startHealthyClient(port);
      const alone = async (): Promise<number> => {
        await expect.poll(() => watch.openNow()).toBe(1);
        return openHandles();
      };
      const random = new SeededRandom(SEED);
      const misuseFor = async (seconds: number): Promise<void> => {
        const endMs = performance.now() + seconds * 1000;
        while (performance.now() < endMs) {
          await Promise.all(Array.from({ length: AT_ONCE }, () => misuse(random, port, watch)));
          if (random.oneIn(4)) await crowd(random, port, watch);
          doors.fast.world.recorded.length = 0;
        }
      };
      await misuseFor(SECONDS / 4);
      const handles = await alone();
      const before = await heapBytes();
      await misuseFor((3 * SECONDS) / 4);
      expect(await alone()).toBe(handles);
      expect(await heapBytes()).toBeLessThan(before + 16 * 1024 * 1024);
      await crowd(random, port, watch);
      await alone();
      await expectAllPlaces(watch, port);
      expect(watch.most).toBe(CONNECTIONS_MAX);
      watch.stop();
      expect(await healthy.stop()).toBeGreaterThan(10);
      expect(doors.fast.failures).toEqual([]);
    },
    (3 * SECONDS + 60) * 1000,
  );
});

async function compareOnce(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const stream = randomStream(random);
  const parts = randomParts(random, stream);
  // Now and then slowly: a part has long been read when the next comes.
  const pauseMillis = parts.length < 10 && random.oneIn(10) ? random.integer(1, 40) : 0;
  const { fast, ordinary } = await answersOfBoth(doors, parts, pauseMillis);
  const lengths = parts.map(({ length }) => length).join("+");
  const shown = `ONEFOLD_SEED=${seed}: ${JSON.stringify(stream.toString("latin1"))} in parts of ${lengths}`;
  const difference = differenceOf(fast, ordinary);
  if (difference !== null) throw new Error(`${shown}\n${difference}`);
}

/** Asks for a vector again and again on one connection, and checks each answer. */
function startHealthyClient(port: number): { stop(): Promise<number> } {
  const stopped = new AbortController();
  const run = async (): Promise<number> => {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    const right: string[] = [];
    let answers = 0;
    for (; !stopped.signal.aborted; answers++) {
      const received: Buffer[] = [];
      const whole = new Promise<string[]>((resolve, reject) => {
        const onClose = (): void => reject(new Error("a healthy connection was closed"));
        const onData = (chunk: Buffer): void => {
          received.push(chunk);
          const answer = splitAnswers(Buffer.concat(received));
          if (answer[0]!.startsWith("half")) return;
          socket.off("data", onData).off("close", onClose).off("error", reject);
          resolve(answer);
        };
        socket.on("data", onData).on("close", onClose).on("error", reject);
      });
      socket.write(vectorRequest("A3"));
      const slow = sleep(30_000).then(() => Promise.reject(new Error("a healthy client waits for 30 seconds")));
      const answer = await Promise.race([whole, slow]);
      slow.catch(() => {});
      if (right.length === 0) right.push(...answer);
      expect(answer).toEqual(right);
      expect(answer[0]).toContain("HTTP/1.1 200 OK");
      await sleep(1);
    }
    socket.destroy();
    return answers;
  };
  const ran = run();
  ran.catch(() => {});
  return {
    stop: () => {
      stopped.abort();
      return ran;
    },
  };
}

/** That beside the healthy client there is room for all who may come, and for nobody else. */
async function expectAllPlaces(watch: ConnectionWatch, port: number): Promise<void> {
  const dropped = watch.dropped;
  const clients = Array.from({ length: CONNECTIONS_MAX }, () => connect(port, "127.0.0.1"));
  const fates = await Promise.all(
    clients.map(
      (socket) =>
        new Promise<string>((resolve) => {
          socket.on("data", () => resolve("answered")).on("error", () => {});
          socket.on("close", () => resolve("closed"));
          socket.write(vectorRequest("A3"));
        }),
    ),
  );
  expect(fates.filter((fate) => fate === "answered")).toHaveLength(CONNECTIONS_MAX - 1);
  expect(watch.dropped).toBe(dropped + 1);
  expect(watch.openNow()).toBe(CONNECTIONS_MAX);
  for (const socket of clients) socket.destroy();
}

/** More connections than may come in, each with half a request, that stay until all of them were let in or turned away. */
async function crowd(random: SeededRandom, port: number, watch: ConnectionWatch): Promise<void> {
  watch.forgetFates();
  const sockets = Array.from({ length: 2 * CONNECTIONS_MAX }, () => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.resume().write(random.pick(Object.values(HOT)).subarray(0, random.integer(1, 60)));
    return socket;
  });
  const ports = await Promise.all(sockets.map((socket) => once(socket, "connect").then(() => socket.localPort!)));
  const fates = (fate: Fate | undefined): number => ports.filter((one) => watch.fateOf(one) === fate).length;
  await expect.poll(() => fates(undefined), { interval: 5, timeout: 20_000 }).toBe(0);
  // The healthy client has a place.
  expect(fates("accepted")).toBeLessThan(CONNECTIONS_MAX);
  for (const socket of sockets) hangUp(random, socket);
}

/** One connection that behaves badly in one of many ways, and is gone. One that is past the limit is told nothing. */
async function misuse(random: SeededRandom, port: number, watch: ConnectionWatch): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  let ownPort = 0;
  socket.once("connect", () => (ownPort = socket.localPort ?? 0));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {});
  const hot = Object.values(HOT);
  switch (random.integer(0, 5)) {
    case 0:
      socket.resume().write(randomBytes(random, random.integer(1, 5000)));
      break;
    case 1:
      // Many requests, none of whose answers is read.
      socket.pause();
      for (let i = 0; i < 300; i++) socket.write(random.pick(hot));
      await sleep(10);
      socket.resetAndDestroy();
      break;
    case 2:
      // Gone in the middle of a request, or of its answer.
      socket.resume().write(random.pick(hot).subarray(0, random.integer(1, 200)));
      await setImmediate();
      socket.resetAndDestroy();
      break;
    case 3:
      socket.resume().end(random.pick(hot));
      break;
    case 4:
      for (const part of randomParts(random, randomStream(random))) socket.resume().write(part);
      break;
    default:
      // Half a request that takes all the room it may.
      socket
        .resume()
        .write(`POST /features HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n${" ".repeat(100_000)}`);
  }
  await sleep(random.integer(0, 20));
  hangUp(random, socket);
  await closed;
  if (watch.fateOf(ownPort) === "dropped") expect(socket.bytesRead).toBe(0);
}

function hangUp(random: SeededRandom, socket: Socket): void {
  // Node does not tell of the end of a socket that is reset after its own end.
  if (socket.writableEnded || random.oneIn(2)) socket.destroy();
  else socket.resetAndDestroy();
}

/** In use after a collection. */
async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await sleep(200);
  collect();
  collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}
