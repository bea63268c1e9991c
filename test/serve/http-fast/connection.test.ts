import { once } from "node:events";
import { connect, Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import { SocketBytes } from "../../../src/serve/socket-bytes.ts";
import type { HttpOptions } from "../../../src/serve/http.ts";
import { HOT } from "./known-requests.ts";
import { getRequest, requestBytes, vectorBody, vectorRequest } from "./request-text.ts";
import { type Door, openTwoDoors, splitAnswers, type TwoDoors } from "./two-doors.ts";

let doors: TwoDoors | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  // One that still has answers to read would hold the door open.
  for (const socket of sockets.splice(0)) socket.destroy();
  return doors?.close();
});

async function open(options: HttpOptions = {}): Promise<TwoDoors> {
  doors = await openTwoDoors(options);
  return doors;
}

interface Client {
  readonly socket: Socket;
  readonly received: Buffer[];
  readonly closed: Promise<void>;
  answers(): string[];
  /** Resolves once there are so many whole answers, or no more can come. */
  until(count: number): Promise<string[]>;
}

async function clientOf(door: Door): Promise<Client> {
  const socket = connect(door.server.port, "127.0.0.1").setNoDelay(true);
  sockets.push(socket);
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk)).on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await once(socket, "connect");
  const answers = (): string[] => splitAnswers(Buffer.concat(received));
  return {
    socket,
    received,
    closed,
    answers,
    until: async (count) => {
      while (answers().filter((answer) => !answer.startsWith("half")).length < count && !socket.closed) await sleep(2);
      return answers();
    },
  };
}

/** Of some length of time that a client waits; slow machines add to it, nothing takes from it. */
async function millisUntil(done: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await done;
  return performance.now() - startMs;
}

/** Until it has said the same for a while, however slow the machine is. */
async function untilStill(count: () => number): Promise<void> {
  let last = count();
  for (let turns = 0, sinceMs = performance.now(); turns < 20 || performance.now() - sinceMs < 200; turns++) {
    await sleep(2);
    const present = count();
    if (present === last && present > 0) continue;
    last = present;
    turns = 0;
    sinceMs = performance.now();
  }
}

const eachDoor = (both: TwoDoors): readonly Door[] => [both.fast, both.ordinary];
const BATCH = HOT["features of a batch"]!;

describe("a client that is slow", () => {
  it("gets a 408 where the head, or the body, does not come in time", async () => {
    const both = await open({ timeouts: { headersMillis: 400, requestMillis: 900, idleMillis: 60_000 } });
    for (const [begun, leastMillis] of [
      ["", 400],
      ["POST /services/delay_model/vector HTTP/1.1\r\nHost: x\r\n", 400],
      ["POST /services/delay_model/vector HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", 900],
    ] as const) {
      const answers = await Promise.all(
        eachDoor(both).map(async (door) => {
          const client = await clientOf(door);
          client.socket.write(begun);
          expect(await millisUntil(client.closed)).toBeGreaterThan(leastMillis * 0.7);
          return client.answers();
        }),
      );
      expect(answers[0]).toEqual(answers[1]);
      expect(answers[0]![0]).toContain("408 Request Timeout");
    }
  });

  it("is not given more time by a byte now and then", async () => {
    const both = await open({ timeouts: { headersMillis: 400, requestMillis: 900, idleMillis: 60_000 } });
    const line = "POST /services/delay_model/vector HTTP/1.1\r\nHost: x";
    for (const begun of [line, `${line}\r\nContent-Length: 100000\r\n\r\n{`]) {
      const client = await clientOf(both.fast);
      client.socket.write(begun);
      const drip = setInterval(() => client.socket.write("x"), 50);
      expect(await millisUntil(client.closed)).toBeLessThan(20_000);
      clearInterval(drip);
      expect(client.answers()[0]).toContain("408");
    }
  });

  it("is let go when it is idle after an answer", async () => {
    const both = await open({ timeouts: { idleMillis: 500 } });
    for (const door of eachDoor(both)) {
      const client = await clientOf(door);
      client.socket.write(vectorRequest());
      const [answer] = await client.until(1);
      expect(answer).toContain("200 OK");
      expect(await millisUntil(client.closed)).toBeGreaterThan(300);
      expect(client.answers()).toHaveLength(1);
    }
  });

  it("gets whole answers before it is refused, though it goes on sending nonsense", async () => {
    const both = await open();
    const client = await clientOf(both.fast);
    client.socket.pause();
    const batches = 20;
    client.socket.write(
      Buffer.concat([...Array.from({ length: batches }, () => BATCH), Buffer.from("nonsense\r\n\r\n")]),
    );
    await sleep(50);
    client.socket.resume();
    for (let i = 0; i < 40 && client.socket.writable; i++) {
      client.socket.write("more of it\r\n\r\n");
      await sleep(5);
    }
    await client.closed;
    const answers = client.answers();
    expect(answers.filter((answer) => answer.startsWith("HTTP/1.1 200 OK"))).toHaveLength(batches);
    expect(answers[batches]).toContain("400 Bad Request");
  });

  // More than 100 are answered over several turns.
  it.each([
    [250, 240],
    [90, 700],
  ])("holds up its own answers only, of %i rows each, and gets them all once it reads", async (rows, requests) => {
    const both = await open();
    const { recorded } = both.fast.world;
    const slow = await clientOf(both.fast);
    slow.socket.pause();
    const body = { entity_type: "airport", entity_ids: Array.from({ length: rows }, (_, i) => `A${i}`) };
    const batch = requestBytes({ target: "/features/batch", body: JSON.stringify(body) });
    slow.socket.write(Buffer.concat(Array.from({ length: requests }, () => batch)));
    await untilStill(() => recorded.length);
    // What its socket and the kernel hold is far less than so many answers of 360 bytes a row: the rest was not made yet.
    expect(recorded.length).toBeGreaterThan(0);
    expect(recorded.length / rows).toBeLessThan(requests * 0.7);
    const other = await clientOf(both.fast);
    other.socket.write(vectorRequest());
    expect(await other.until(1)).toHaveLength(1);
    slow.socket.resume();
    while (recorded.length < requests * rows + 1) await sleep(20);
    slow.socket.end();
    await slow.closed;
    const answers = slow.answers();
    expect(answers).toHaveLength(requests);
    expect(new Set(answers).size).toBe(1);
  });
});

describe("long answers", () => {
  it("are whole, though the memory of those that were sent is used for others meanwhile", async () => {
    const both = await open();
    const batchOf = (name: string): Buffer =>
      requestBytes({
        target: "/features/batch",
        body: JSON.stringify({
          entity_type: "airport",
          entity_ids: Array.from({ length: 100 }, (_, i) => `${name} ${i} Zürich`),
          metadata: "full",
        }),
      });
    const slow = await clientOf(both.fast);
    const quick = await clientOf(both.fast);
    slow.socket.pause();
    const requests = 80;
    for (let i = 0; i < requests; i++) {
      slow.socket.write(batchOf(`slow ${i}`));
      quick.socket.write(batchOf(`quick ${i}`));
      await setImmediate();
    }
    await quick.until(requests);
    slow.socket.resume();
    await slow.until(requests);
    for (const [name, client] of Object.entries({ slow, quick })) {
      const answers = client.answers();
      expect(answers).toHaveLength(requests);
      for (const [i, answer] of answers.entries()) {
        const named = answer.matchAll(/"entity_id":"([^"]*)"/g);
        expect(Array.from(named, ([, id]) => id)).toEqual(
          Array.from({ length: 100 }, (_, row) => `${name} ${i} ${row} Zürich`),
        );
      }
    }
  });
});

describe("short answers", () => {
  it("wait for one long answer of others at most", async () => {
    const both = await open();
    const { port } = both.fast.server;
    const events: string[] = [];
    const listen = (message: unknown): void => {
      if ((message as { route: string }).route.endsWith("/vector")) events.push("answered");
    };
    const short = await clientOf(both.fast);
    const others = await Promise.all(Array.from({ length: 8 }, () => clientOf(both.fast)));
    const batch = requestBytes({
      target: "/features/batch",
      body: JSON.stringify({ entity_type: "airport", entity_ids: Array.from({ length: 90 }, (_, i) => `A${i}`) }),
    });
    const { write } = Socket.prototype;
    const { send } = SocketBytes.prototype;
    SocketBytes.prototype.send = function (this: SocketBytes, bytes, length) {
      const { localPort, remotePort } = this.socket;
      if (localPort === port && remotePort === short.socket.localPort) events.push("sent");
      return send.call(this, bytes, length);
    };
    // Long ones are left to the socket.
    Socket.prototype.write = function (this: Socket, ...args: Parameters<Socket["write"]>) {
      if (this.localPort === port && (args[0] as Buffer).length > 4096) events.push("long");
      return write.apply(this, args);
    } as Socket["write"];
    diagnostics.answered.subscribe(listen);
    try {
      for (let round = 1; round <= 20; round++) {
        short.socket.write(vectorRequest());
        for (const { socket } of others) socket.write(batch);
        await Promise.all([short.until(round), ...others.map((one) => one.until(round))]);
      }
    } finally {
      Socket.prototype.write = write;
      SocketBytes.prototype.send = send;
      diagnostics.answered.unsubscribe(listen);
    }
    expect(events.filter((event) => event === "long")).toHaveLength(8 * 20);
    const between = events.join(" ").matchAll(/answered((?: long)*) sent/g);
    const longs = Array.from(between, ([, text]) => text!.split("long").length - 1);
    expect(longs).toHaveLength(20);
    expect(Math.max(...longs)).toBeLessThanOrEqual(1);
  });
});

describe("a client that goes away", () => {
  it("hangs up one half and is answered", async () => {
    const both = await open();
    for (const request of [vectorRequest(), BATCH]) {
      const client = await clientOf(both.fast);
      client.socket.end(request);
      await client.closed;
      expect(client.answers()).toHaveLength(1);
      expect(client.answers()[0]).toContain("200 OK");
    }
  });

  it("resets in the middle of a request or an answer, and nobody notices", async () => {
    const both = await open();
    for (let i = 0; i < 50; i++) {
      const client = await clientOf(both.fast);
      client.socket.write(i % 2 === 0 ? BATCH : vectorRequest().subarray(0, 60));
      if (i % 3 === 0) await setImmediate();
      client.socket.resetAndDestroy();
    }
    const client = await clientOf(both.fast);
    client.socket.write(vectorRequest());
    await client.until(1);
    expect(both.fast.failures).toEqual([]);
  });
});

describe("the number of connections", () => {
  it("has a limit, in both phases of a connection together", async () => {
    const both = await open({ connectionsMax: 4 });
    for (const door of eachDoor(both)) {
      const clients = [await clientOf(door), await clientOf(door), await clientOf(door), await clientOf(door)];
      for (const [i, client] of clients.entries()) {
        client.socket.write(i < 2 ? vectorRequest() : getRequest("/health"));
        await client.until(1);
      }
      const fifth = await clientOf(door);
      await fifth.closed;
      expect(fifth.answers()).toEqual([]);
      clients[0]!.socket.destroy();
      clients[2]!.socket.destroy();
      // The door hears in its own time that two have gone; who comes before that is refused.
      for (let isIn = false; !isIn;) {
        const next = await clientOf(door);
        next.socket.write(vectorRequest());
        isIn = (await next.until(1)).length > 0;
        next.socket.destroy();
      }
      for (const client of clients) client.socket.destroy();
    }
  });
});

describe("closing", () => {
  it("ends idle connections, and finishes requests under way", async () => {
    const both = await open();
    const idle = await clientOf(both.fast);
    idle.socket.write(vectorRequest());
    await idle.until(1);
    const fresh = await clientOf(both.fast);
    const busy = await clientOf(both.fast);
    const body = vectorBody("A1");
    const sending = await clientOf(both.fast);
    const request = requestBytes({ body });
    sending.socket.write(request.subarray(0, -5));
    busy.socket.write(Buffer.concat([BATCH, vectorRequest()]));
    await sleep(0);
    while (both.fast.world.recorded.length < 50) await setImmediate();
    const closing = both.fast.server.close();
    await Promise.all([idle.closed, fresh.closed]);
    sending.socket.write(request.subarray(-5));
    await closing;
    await Promise.all([busy.closed, sending.closed]);
    expect(fresh.answers()).toEqual([]);
    for (const client of [busy, sending]) {
      expect(client.answers()).toHaveLength(1);
      expect(client.answers()[0]).toContain("200 OK\nconnection: close");
    }
    await expect(clientOf(both.fast)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("a client that says nothing for a while", () => {
  it("has nothing of what it said held for it", async () => {
    const { fast } = await open();
    const heapUsed = (): number => {
      setFlagsFromString("--expose-gc");
      (runInNewContext("gc") as () => void)();
      return process.memoryUsage().heapUsed;
    };
    const before = heapUsed();
    const request = requestBytes({ body: vectorBody("A1") + " ".repeat(200_000) });
    const clients: Client[] = [];
    for (let i = 0; i < 50; i++) {
      const client = await clientOf(fast);
      client.socket.write(request);
      expect((await client.until(1))[0]).toContain("200 OK");
      clients.push(client);
    }
    expect(heapUsed() - before).toBeLessThan(3_000_000);
    for (const { socket } of clients) socket.destroy();
  });
});

describe("what is counted", () => {
  it("is each request once, by its route, status and code, as the ordinary server counts it", async () => {
    const both = await open();
    const counted = await Promise.all(
      [both.fast, both.ordinary].map(async (door) => {
        const seen: unknown[] = [];
        const listen = (message: unknown): void => {
          const { durationMs, ...rest } = message as { durationMs: number };
          expect(durationMs).toBeGreaterThanOrEqual(0);
          seen.push(rest);
        };
        return { door, seen, listen };
      }),
    );
    for (const { door, listen } of counted) {
      diagnostics.answered.subscribe(listen);
      for (const request of [...Object.values(HOT), requestBytes({ body: "{" }), getRequest("/health")]) {
        const client = await clientOf(door);
        client.socket.write(request);
        await client.until(1);
        client.socket.end();
        await client.closed;
      }
      diagnostics.answered.unsubscribe(listen);
    }
    expect(counted[0]!.seen).toEqual(counted[1]!.seen);
    expect(counted[0]!.seen).toHaveLength(Object.keys(HOT).length + 2);
  });
});

describe("a fault of the server's own", () => {
  it("is answered with 500 and told to the operator, and the connection goes on", async () => {
    const both = await open();
    const answers: string[][] = [];
    for (const door of eachDoor(both)) {
      const { record } = door.world;
      door.world.record = () => {
        throw new Error("the password is swordfish");
      };
      const client = await clientOf(door);
      client.socket.write(vectorRequest());
      await client.until(1);
      door.world.record = record;
      client.socket.write(vectorRequest());
      answers.push(await client.until(2));
      expect(door.failures).toMatchObject([{ message: "the password is swordfish" }]);
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]![0]).not.toContain("swordfish");
    expect(answers[0]![0]).toContain("500 Internal Server Error");
    expect(answers[0]![1]).toContain("200 OK");
  });
});
