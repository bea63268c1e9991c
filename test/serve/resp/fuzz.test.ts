/**
 * Random bytes, spoilt requests, and good ones cut up at every byte, from many connections at a time. Whatever
 * they send, the door answers in well-formed replies, ends them, keeps to its limits and holds no memory for
 * them, and a connection that does no wrong notices nothing. `ONEFOLD_FUZZ_SECONDS` says for how long.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../src/testing/random.ts";
import { ConnectionWatch, openHandles } from "../connection-watch.ts";
import { mutate, randomBytes, split } from "../mutations.ts";
import { decodeReplies } from "./decode-reply.ts";
import { BareClient, encodeCommand, useRespDoor } from "./resp-in-test.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const SECONDS = Number(process.env["ONEFOLD_FUZZ_SECONDS"] ?? 3);
const WORKERS = 16;
/** Fewer than would like to come in. */
const CONNECTIONS_MAX = 6;
const MEGABYTE = 1024 * 1024;
/** A healthy connection is answered within this, though both cores may be busy with other tests. */
const PATIENCE_MILLIS = 30_000;

const resp = useRespDoor({ connectionsMax: CONNECTIONS_MAX });

const VALID: readonly (readonly string[])[] = [
  ["PING"],
  ["ECHO", "\x00\xff\r\n"],
  ["FGET", "delay_model", "JFK", "JFK|LAX"],
  ["FGET", "delay_model", "Zürich", "a\\|b|c\\\\", "CONTEXT", "{}"],
  ["FGETJSON", "delay_model", "JFK", "JFK|LAX", "WITHMETA", "WITHTOKEN"],
  ["FGETPACKED", "delay_model", "JFK", "JFK|LAX"],
  ["FGET", "delay_model", "JFK", "JFK|LAX", "WITHAGE"],
  ["FMGET", "delay_model", "2", "JFK", "JFK|LAX", "A", "bad", "CONTEXT", "{}", "withage"],
  ["FVECTORS", "delay_model", '{"entities": {"airport": "JFK", "route": ["JFK", "LAX"]}}', '{"entities": {}}'],
  ["FEVENTS", "arrivals", '[{"delay": 1}, {"delay": "late"}]'],
  ["FMGET", "delay_model", "3", "JFK", "JFK|LAX", "A", "B|C", "D", "bad", "CONTEXT", "[{}, {}, {}]"],
  ["FMGET", "delay_model", "150", ...Array.from({ length: 150 }, (_, i) => [`A${i}`, `A${i}|B`]).flat()],
  ["FPUSH", "arrivals", '{"delay": 3}', '[{"delay": 1}, {"delay": "x"}]', '{"delay": 2}\n{nonsense}'],
  ["FDESCRIBE", "delay_model"],
  ["HELLO", "3", "AUTH", "default", "x", "SETNAME", "fuzz"],
  ["CLIENT", "SETINFO", "LIB-NAME", "fuzz"],
  ["COMMAND", "DOCS"],
  ["CONFIG", "GET", "*"],
  ["INFO"],
  ["SELECT", "0"],
  ["RESET"],
];
const INLINE: readonly string[] = ["PING\r\n", 'FGET delay_model JFK "JFK|LAX"\n', "ECHO 'a b' \"\\x41\"\r\n"];

function validStream(random: SeededRandom): Buffer {
  const requests = Array.from({ length: random.integer(1, 8) }, () =>
    random.oneIn(6) ? random.pick(INLINE) : encodeCommand(random.pick(VALID)),
  );
  return Buffer.from(requests.join(""), "latin1");
}

function attack(random: SeededRandom): Buffer {
  if (random.oneIn(6)) return randomBytes(random, random.pick([1, 20, 2000, 100_000]));
  return random.oneIn(4) ? validStream(random) : mutate(validStream(random), random);
}

/** One connection that does what it likes; null where it went away without waiting for an answer. */
async function attackOnce(random: SeededRandom): Promise<string | null> {
  const client = await BareClient.open(resp.door.port);
  for (const piece of split(attack(random), random)) {
    if (client.isClosed) break;
    client.send(piece);
    if (random.oneIn(40)) await setImmediate();
  }
  if (random.oneIn(5)) {
    if (random.oneIn(2)) client.socket.resetAndDestroy();
    else client.socket.destroy();
    return null;
  }
  client.socket.end();
  return client.untilClosed();
}

async function heapAfterCollection(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await sleep(10);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("the RESP door under fuzz", () => {
  it(
    "answers well-formed replies, holds its limits and no memory, and serves others all the while",
    async () => {
      console.log(`fuzzing for ${SECONDS} s by seed ${SEED} (ONEFOLD_SEED, ONEFOLD_FUZZ_SECONDS)`);
      // The fold's states are none of the door's memory: pushes are taken and forgotten.
      resp.world.arrive({ delay: 8 });
      resp.world.pushInstead = async (_source, rows) => {
        await setImmediate();
        return {
          accepted: rows.length,
          duplicates: 0,
          rejected: 0,
          outcomes: rows.map(() => ({ status: "accepted" })),
        };
      };
      resp.world.record = () => {};
      const counts = { attacks: 0, replies: 0, healthy: 0, slowestMs: 0, mostConnections: 0, refused: 0 };
      const watch = new ConnectionWatch(resp.door.port);
      const healthy = await BareClient.open(resp.door.port);
      const expected = "*4\r\n$1\r\n1\r\n$1\r\n8\r\n$1\r\n8\r\n$1\r\n1\r\n";

      /** So long, and on a machine that has no time for it, until there was enough to say something. */
      const runFor = async (millis: number, isEnough = (): boolean => true): Promise<void> => {
        const end = performance.now() + millis;
        const goesOn = (): boolean => {
          const lateMillis = performance.now() - end;
          return lateMillis < 0 || (!isEnough() && lateMillis < PATIENCE_MILLIS);
        };
        const workers = Array.from({ length: WORKERS }, async (_, worker) => {
          const random = new SeededRandom(SEED + worker * 7919 + counts.attacks);
          while (goesOn()) {
            const answer = await attackOnce(random);
            counts.attacks++;
            counts.mostConnections = Math.max(counts.mostConnections, resp.door.connectionCount());
            if (answer !== null) counts.replies += decodeReplies(answer).length;
            if (answer?.startsWith("-ERR max number of clients") === true) counts.refused++;
          }
        });
        const visitor = (async () => {
          while (goesOn()) {
            const startMs = performance.now();
            healthy.call("FGET", "delay_model", "JFK", "JFK|LAX");
            const answer = await Promise.race([
              healthy.until(/(?:\r\n[^\r]*){8}\r\n$/),
              sleep(PATIENCE_MILLIS, "nothing"),
            ]);
            expect(answer).toBe(expected);
            counts.healthy++;
            counts.slowestMs = Math.max(counts.slowestMs, performance.now() - startMs);
            await sleep(1);
          }
        })();
        await Promise.all([...workers, visitor]);
      };

      /** Once the door has but the healthy one, and has told those that it turned away. */
      const alone = async (): Promise<number> => {
        await expect.poll(() => resp.door.connectionCount() === 1 && watch.openNow() === 1).toBe(true);
        return openHandles();
      };

      await runFor(SECONDS * 300);
      const handles = await alone();
      const before = await heapAfterCollection();
      await runFor(
        SECONDS * 700,
        () => counts.attacks > 5 * SECONDS && counts.replies > 100 && counts.healthy > 10 && counts.refused > 0,
      );
      expect(await alone()).toBe(handles);
      const grown = (await heapAfterCollection()) - before;
      console.log(JSON.stringify({ ...counts, slowestMs: Math.round(counts.slowestMs), grownBytes: grown }));
      expect(resp.failures).toEqual([]);
      expect(counts.mostConnections).toBeLessThanOrEqual(CONNECTIONS_MAX);
      expect(grown).toBeLessThan(8 * MEGABYTE);
      expect(counts.attacks).toBeGreaterThan(5 * SECONDS);
      expect(counts.replies).toBeGreaterThan(100);
      expect(counts.healthy).toBeGreaterThan(10);
      // Others were reset before they had read why.
      expect(counts.refused).toBeGreaterThan(0);
      const others = await Promise.all(Array.from({ length: CONNECTIONS_MAX }, () => BareClient.open(resp.door.port)));
      const answers = await Promise.all(
        // One that is refused may be reset before it has read why.
        others.map((one) => (one.call("PING"), one.until(/^\+PONG\r\n|max number of clients/).catch(() => "cut off"))),
      );
      expect(answers.filter((answer) => answer !== "+PONG\r\n")).toHaveLength(1);
      for (const one of [healthy, ...others]) one.socket.destroy();
      watch.stop();
    },
    SECONDS * 1000 + 60_000,
  );

  it("answers the same wherever a stream of all commands is split", async () => {
    const stream = Buffer.from(VALID.map((args) => encodeCommand(args)).join("") + INLINE.join(""), "latin1");
    resp.world.arrive({ delay: 8 });
    resp.world.pushInstead = async () => ({
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      outcomes: [{ status: "accepted" }],
    });
    const answer = async (pieces: readonly Buffer[]): Promise<string> => {
      const client = await BareClient.open(resp.door.port);
      for (const piece of pieces) {
        client.send(piece);
        await setImmediate();
      }
      client.socket.end();
      return (await client.untilClosed())
        .replace(/\r\n:\d+\r\n\$4\r\nmode/, "\r\n:0\r\n$4\r\nmode")
        .replace(/connected_clients:\d/, "connected_clients:0");
    };
    const whole = await answer([stream]);
    expect(decodeReplies(whole)).toHaveLength(VALID.length + INLINE.length);
    // The parser's own test does so at every byte.
    for (let at = 1; at < stream.length; at += SECONDS < 30 ? 41 : 7) {
      expect(await answer([stream.subarray(0, at), stream.subarray(at)]), `split at ${at}`).toBe(whole);
    }
    expect(await answer(Array.from(stream, (byte) => Buffer.from([byte])))).toBe(whole);
  }, 300_000);
});
