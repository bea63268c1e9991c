/**
 * Connections whose clients do not read beside those whose clients do, at both HTTP and RESP: all answers are put together
 * in the same few blocks of memory, and none holds a byte of another one's. Requests are received into one block, cut
 * wherever they are.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { diagnostics } from "../../src/base/diagnostics.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { openHttpServer } from "../../src/serve/http.ts";
import { openRespServer } from "../../src/serve/resp/server.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";
import { vectorRequest } from "./http-fast/request-text.ts";
import { createWorld } from "./served-world.ts";

const SEED = firstSeed();
const AIRPORTS = Array.from({ length: 12 }, (_, i) => `airport ${"x".repeat(3 * i)} ${i}`);
const TURNS = 40;
/** So many answers are more than a socket and the kernel take: some 14 MB. */
const SLOW_VECTORS = 12_000;
const MANY = 100;

/** How vectors are asked for, and what comes back for those of these airports. */
interface Wire {
  readonly port: number;
  request(airports: readonly string[]): Buffer;
  answer(airports: readonly string[]): Buffer;
}

interface Client {
  readonly socket: Socket;
  readonly wire: Wire;
  readonly expected: Buffer[];
  /** Of requests that are cut: what follows later. */
  unsent: Buffer;
  received: Buffer[];
}

it(`no answer holds another connection's bytes, whoever does not read (seed ${SEED})`, async () => {
  const random = new SeededRandom(SEED);
  const world = await createWorld();
  world.isSampling = false;
  for (const [i, origin] of AIRPORTS.entries()) world.arrive({ origin, delay: i + 1 });
  const reader = createFeatureReader(world);
  const http = await openHttpServer(reader, world, { port: 0 });
  const resp = await openRespServer(reader, world, "1.2.3", { port: 0 });
  const clients: Client[] = [];
  const open = async (wire: Wire): Promise<Client> => {
    const socket = connect(wire.port, "127.0.0.1").setNoDelay(true);
    await once(socket, "connect");
    const client: Client = { socket, wire, expected: [], unsent: Buffer.alloc(0), received: [] };
    socket.on("data", (chunk: Buffer) => client.received.push(chunk));
    clients.push(client);
    return client;
  };
  const ask = (client: Client, count: number): void => {
    const { socket, wire, expected } = client;
    const airports = Array.from({ length: count }, () => random.pick(AIRPORTS));
    const bytes = Buffer.concat([client.unsent, wire.request(airports)]);
    const cut = random.oneIn(2) ? bytes.length : random.integer(0, bytes.length);
    socket.write(bytes.subarray(0, cut));
    client.unsent = bytes.subarray(cut);
    expected.push(wire.answer(airports));
  };
  const answersOf = async (port: number, request: (airport: string) => Buffer): Promise<Map<string, Buffer>> => {
    const found = new Map<string, Buffer>();
    const client = await open({ port, request: Buffer.concat, answer: Buffer.concat } as never);
    for (const airport of AIRPORTS) {
      client.received = [];
      client.socket.write(request(airport));
      await expect.poll(() => isWhole(Buffer.concat(client.received).toString())).toBe(true);
      found.set(airport, comparable(client));
    }
    return found;
  };
  let served = 0;
  const count = (): void => void served++;
  diagnostics.served.subscribe(count);
  try {
    const overHttp = await answersOf(http.port, vectorRequest);
    const overResp = await answersOf(resp.port, (airport) => command("FGET", "delay_model", airport, `${airport}|LAX`));
    expect(new Set([...overHttp.values(), ...overResp.values()].map(String)).size).toBe(2 * AIRPORTS.length);
    const wires: Record<"http" | "fget" | "fmget", Wire> = {
      http: {
        port: http.port,
        request: (airports) => Buffer.concat(airports.map((one) => vectorRequest(one))),
        answer: (airports) => Buffer.concat(airports.map((one) => overHttp.get(one)!)),
      },
      fget: {
        port: resp.port,
        request: (airports) => Buffer.concat(airports.map((one) => command("FGET", "delay_model", one, `${one}|LAX`))),
        answer: (airports) => Buffer.concat(airports.map((one) => overResp.get(one)!)),
      },
      fmget: {
        port: resp.port,
        request: (airports) => {
          const keys = airports.flatMap((one) => [one, `${one}|LAX`]);
          return command("FMGET", "delay_model", String(airports.length), ...keys);
        },
        answer: (airports) =>
          Buffer.concat([Buffer.from(`*${airports.length}\r\n`), ...airports.map((one) => overResp.get(one)!)]),
      },
    };
    served = 0;
    const slow = [await open(wires.http), await open(wires.http), await open(wires.fmget)];
    const quick = await Promise.all(Array.from({ length: 12 }, (_, i) => open(i % 2 === 0 ? wires.http : wires.fget)));
    for (const { socket } of slow) socket.pause();
    let asked = 0;
    const askFor = (client: Client, vectors: number): void => {
      asked += vectors;
      ask(client, vectors);
    };
    for (let turn = 0; turn < TURNS; turn++) {
      for (const client of slow) for (let i = 0; i < SLOW_VECTORS; i += TURNS * MANY) askFor(client, MANY);
      for (const client of quick) {
        if (random.oneIn(2)) askFor(client, random.integer(1, 20));
        if (random.oneIn(4)) await setImmediate();
      }
      await setImmediate();
    }
    for (const client of quick) await expectAll(client);
    // Those who do not read are blocked by now.
    expect(served).toBeLessThan(asked);
    // All memory that is used again is written over.
    for (const client of quick) askFor(client, 300);
    for (const client of quick) await expectAll(client);
    for (const client of slow) {
      expect(client.received).toEqual([]);
      client.socket.resume();
    }
    for (const client of [...slow, ...quick]) await expectAll(client);
    expect(served).toBe(asked);
  } finally {
    diagnostics.served.unsubscribe(count);
    for (const { socket } of clients) socket.destroy();
    await Promise.all([http.close(), resp.close()]);
  }
});

function command(...args: readonly string[]): Buffer {
  return Buffer.from(`*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join("")}`);
}

/** One answer: of RESP they are short, and come at once. */
function isWhole(answer: string): boolean {
  return answer.startsWith("*") || answer.endsWith("}}");
}

/** What came, without what differs from one answer to the next: how long it took, and with that how long it is. */
function comparable({ received }: Client): Buffer {
  const text = Buffer.concat(received).toString("latin1");
  return Buffer.from(text.replace(/"latency_ms":[\d.]+|content-length: \d+|Date: [^\r]*/g, ""), "latin1");
}

async function expectAll(client: Client): Promise<void> {
  client.socket.write(client.unsent);
  client.unsent = Buffer.alloc(0);
  const expected = Buffer.concat(client.expected);
  const isThere = (): boolean =>
    client.received.reduce((sum, { length }) => sum + length, 0) >= expected.length &&
    comparable(client).length >= expected.length;
  await expect.poll(isThere, { timeout: 60_000, interval: 20 }).toBe(true);
  expect(comparable(client).equals(expected)).toBe(true);
}
