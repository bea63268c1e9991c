/** What a client may take of the door: connections, memory, time; and that no more can be taken from the others. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { createFeatureReader } from "../../../src/serve/feature-reader.ts";
import { openRespServer, type RespOptions, type RespServer } from "../../../src/serve/resp/server.ts";
import { createWorld, type World } from "../served-world.ts";
import { BareClient, encodeCommand } from "./resp-in-test.ts";

async function withDoor(options: RespOptions, work: (door: RespServer, world: World) => Promise<void>): Promise<void> {
  const world = await createWorld();
  const door = await openRespServer(createFeatureReader(world), world, "1.2.3", { port: 0, ...options });
  try {
    await work(door, world);
  } finally {
    await door.close();
  }
}

async function pings(client: BareClient): Promise<boolean> {
  client.call("PING");
  return (await client.until("+PONG\r\n")) === "+PONG\r\n";
}

const MEGABYTE = 1024 * 1024;
/** Its reply is as large as itself: who does not read it soon fills all buffers on the way. */
const LARGE = Buffer.from(encodeCommand(["ECHO", "x".repeat(MEGABYTE / 2)]), "latin1");

describe("a password", () => {
  it("is asked for before anything else, by AUTH or HELLO", () =>
    withDoor({ password: "sésame" }, async (door) => {
      const client = await BareClient.open(door.port);
      const answers = async (...args: string[]): Promise<string> => {
        client.call(...args);
        return client.until("\r\n");
      };
      const noAuth = "-NOAUTH Authentication required.\r\n";
      expect(await answers("FGET", "delay_model", "JFK", "A|B")).toBe(noAuth);
      expect(await answers("PING")).toBe(noAuth);
      expect(await answers("NOTHING")).toBe(noAuth);
      expect(await answers("HELLO", "3")).toMatch(/^-NOAUTH HELLO must be called/);
      expect(await answers("AUTH", "sesame")).toMatch(/^-WRONGPASS /);
      expect(await answers("AUTH", "someone", "sésame")).toMatch(/^-WRONGPASS /);
      expect(await answers("HELLO", "3", "AUTH", "default", "")).toMatch(/^-WRONGPASS /);
      expect(await answers("AUTH", "sésame")).toBe("+OK\r\n");
      expect(await pings(client)).toBe(true);
      expect(await answers("RESET")).toBe("+RESET\r\n");
      expect(await answers("PING")).toBe(noAuth);
      client.call("HELLO", "3", "AUTH", "default", "sésame");
      await client.until("*0\r\n");
      expect(await pings(client)).toBe(true);
    }));

  it("stands in a HELLO that changes all it asks for or nothing", () =>
    withDoor({ password: "x" }, async (door) => {
      const client = await BareClient.open(door.port);
      const answers = async (...args: string[]): Promise<string> => {
        client.call(...args);
        return client.until("\r\n");
      };
      expect(await answers("HELLO", "3", "AUTH", "default", "x", "SETNAME", "two words")).toMatch(/^-ERR Client names/);
      expect(await answers("HELLO", "3", "AUTH", "default", "x", "SET")).toMatch(/^-ERR Syntax error in HELLO/);
      expect(await answers("PING")).toMatch(/^-NOAUTH /);
    }));

  it("that was not given lets nobody send much", () =>
    withDoor({ password: "x" }, async (door) => {
      const cases = [
        ["*11\r\n", "invalid multibulk length"],
        ["*2\r\n$16385\r\n", "invalid bulk length"],
      ];
      for (const [bytes, error] of cases) {
        const client = await BareClient.open(door.port);
        client.send(bytes!);
        expect(await client.untilClosed()).toBe(`-ERR Protocol error: ${error}\r\n`);
      }
    }));

  it("is not empty, and none is asked for where there is none", async () => {
    await expect(withDoor({ password: "" }, async () => {})).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await withDoor({}, async (door) => {
      const client = await BareClient.open(door.port);
      client.call("AUTH", "x");
      expect(await client.until("\r\n")).toMatch(/^-ERR AUTH <password> called without any password/);
    });
  });
});

describe("connections", () => {
  it("are as many as allowed, and those past them are told why they are closed", () =>
    withDoor({ connectionsMax: 3 }, async (door) => {
      const clients = [];
      for (let i = 0; i < 3; i++) clients.push(await BareClient.open(door.port));
      for (const client of clients) expect(await pings(client)).toBe(true);
      const refused = await BareClient.open(door.port);
      expect(await refused.untilClosed()).toBe("-ERR max number of clients reached\r\n");
      expect(door.connectionCount()).toBe(3);
      clients[0]!.socket.end();
      await clients[0]!.untilClosed();
      expect(await pings(await BareClient.open(door.port))).toBe(true);
    }));

  it("that stop in the middle are dropped, and idle ones are not", () =>
    withDoor({ stuckMillisMax: 200 }, async (door) => {
      const [idle, stuck, deaf] = await Promise.all([1, 2, 3].map(() => BareClient.open(door.port)));
      expect(await pings(idle!)).toBe(true);
      stuck!.send("*2\r\n$4\r\nECHO\r\n$10\r\nabc");
      deaf!.socket.pause();
      for (let i = 0; i < 80; i++) deaf!.send(LARGE);
      await stuck!.untilClosed();
      while (door.connectionCount() > 1) await sleep(20);
      expect(await pings(idle!)).toBe(true);
      deaf!.socket.destroy();
    }));

  it("that send a request little by little for too long are dropped, and others may take as long as they like", () =>
    withDoor({ stuckMillisMax: 400, requestMillisMax: 800 }, async (door) => {
      const [slow, busy] = await Promise.all([BareClient.open(door.port), BareClient.open(door.port)]);
      const request = encodeCommand(["ECHO", "abc"]);
      let isOver = false;
      const closed = slow!.untilClosed().then(() => (isOver = true));
      slow!.send(`${request}*2\r\n$4\r\nECHO\r\n$100\r\n`);
      // Of one whose requests are whole in time a part of the next is always there.
      busy!.send(request.slice(0, 9));
      let echoed = 0;
      for (let i = 0; i < 40; i++) {
        if (isOver) break;
        slow!.send("x");
        busy!.send(request.slice(9) + request.slice(0, 9));
        await sleep(50);
        echoed++;
      }
      expect(isOver).toBe(true);
      await closed;
      busy!.send(request.slice(9));
      busy!.call("PING");
      expect(await busy!.until("+PONG\r\n")).toMatch(/abc\r\n\+PONG\r\n$/);
      expect(echoed).toBeLessThan(40);
    }));

  it("that stop in the middle are dropped also where what came before took longer than they may be silent", () =>
    withDoor({ stuckMillisMax: 200 }, async (door, world) => {
      world.pushInstead = async () => {
        await sleep(600);
        return { accepted: 1, duplicates: 0, rejected: 0, outcomes: [{ status: "accepted", offset: 0 }] };
      };
      const client = await BareClient.open(door.port);
      client.send(`${encodeCommand(["FPUSH", "arrivals", '{"delay": 3}'])}*2\r\n$4\r\nECHO\r\n$10\r\nabc`);
      expect(await client.untilClosed()).toContain("accepted");
    }));

  it("that do not read their replies cost no more than a reply, and nobody else anything", () =>
    withDoor({}, async (door) => {
      const deaf = await BareClient.open(door.port);
      deaf.socket.pause();
      const before = process.memoryUsage().rss;
      let sent = 0;
      const send = (): void => {
        while (sent < 400 && deaf.socket.write(LARGE)) sent++;
      };
      deaf.socket.on("drain", send);
      send();
      const other = await BareClient.open(door.port);
      for (let i = 0; i < 50; i++) {
        expect(await pings(other)).toBe(true);
        await sleep(10);
      }
      // The system holds some megabytes on the way, in both directions; of the 200 MB most was never read.
      expect(sent).toBeLessThan(100);
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * MEGABYTE);
      deaf.socket.destroy();
    }));
});

describe("requests that are too large together", () => {
  it("are refused one by one, read to their end, and answered", () =>
    withDoor({}, async (door) => {
      const size = 15 * MEGABYTE;
      const clients = await Promise.all(Array.from({ length: 6 }, () => BareClient.open(door.port)));
      const payload = Buffer.alloc(size - 1, "x");
      const sent = clients.map(
        ({ socket }) =>
          new Promise((resolve) => {
            socket.write(`*2\r\n$4\r\nECHO\r\n$${size}\r\n`);
            socket.write(payload, resolve);
          }),
      );
      // Until the system has taken it all, and then until the door has read what the system holds.
      await Promise.all(sent);
      await sleep(500);
      for (const client of clients) client.send("x\r\n*1\r\n$4\r\nPING\r\n");
      const answers = await Promise.all(clients.map((client) => client.until("+PONG\r\n")));
      const refused = answers.filter((answer) => answer.startsWith("-BACKPRESSURE "));
      expect(refused.length).toBeGreaterThan(0);
      expect(refused.length).toBeLessThan(6);
      for (const answer of answers.filter((each) => !refused.includes(each))) {
        expect(answer.length).toBe(`$${size}\r\n`.length + size + "\r\n+PONG\r\n".length);
      }
      clients[0]!.send(encodeCommand(["ECHO", "y".repeat(1000)]));
      expect(await clients[0]!.until("y\r\n")).toHaveLength(1009);
    }));
});

describe("closing", () => {
  it("answers what came in, and takes no more", () =>
    withDoor({}, async (door, world) => {
      const push = world.push;
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => (begin = resolve));
      world.pushInstead = async (...args) => {
        begin();
        await sleep(200);
        world.pushInstead = null;
        return push.call(world, ...args);
      };
      const [idle, busy] = [await BareClient.open(door.port), await BareClient.open(door.port)];
      expect(await pings(idle)).toBe(true);
      busy.send(encodeCommand(["FPUSH", "arrivals", '{"delay": 1}']) + encodeCommand(["PING"]));
      await begun;
      const closed = door.close();
      expect(await busy.untilClosed()).toMatch(/accepted\r\n:1\r\n.*\+PONG\r\n$/s);
      expect(await idle.untilClosed()).toBe("");
      await closed;
      const refused = connect(door.port, "127.0.0.1");
      await expect(new Promise((resolve) => refused.once("error", resolve))).resolves.toMatchObject({
        code: "ECONNREFUSED",
      });
    }));

  it("does not wait for those who do not read", () =>
    withDoor({}, async (door) => {
      const deaf = await BareClient.open(door.port);
      deaf.socket.pause();
      for (let i = 0; i < 80; i++) deaf.send(LARGE);
      await sleep(300);
      const start = performance.now();
      await door.close();
      expect(performance.now() - start).toBeLessThan(60_000);
    }));

  it("is refused a port that is taken", () =>
    withDoor({}, async (door) => {
      await expect(withDoor({ port: door.port }, async () => {})).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    }));
});

describe("a client that says nothing for a while", () => {
  it("has nothing of what it said held for it", () =>
    withDoor({}, async (door) => {
      const heapUsed = (): number => {
        setFlagsFromString("--expose-gc");
        (runInNewContext("gc") as () => void)();
        return process.memoryUsage().heapUsed;
      };
      const clients: BareClient[] = [];
      const question = encodeCommand(["ECHO", "x".repeat(900)]);
      const before = heapUsed();
      for (let i = 0; i < 100; i++) {
        const client = await BareClient.open(door.port);
        client.send(question.repeat(60) + encodeCommand(["PING"]));
        await client.until("+PONG\r\n");
        clients.push(client);
      }
      expect(heapUsed() - before).toBeLessThan(3_000_000);
      for (const { socket } of clients) socket.destroy();
    }));
});
