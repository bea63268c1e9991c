/**
 * What goes over a connection is what it would be over the socket's own stream, however it is read and written.
 */
import { closeSync, mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { SocketBytes, type TakeBytes } from "../../src/serve/socket-bytes.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const open: { readonly server: Server; readonly sockets: Socket[] }[] = [];

afterEach(() => {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** Two ends of a connection; the server's as it was just accepted. */
async function connected(accept: (socket: Socket) => void): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = new Promise<Socket>((resolve) => {
    server.once("connection", (socket) => {
      accept(socket);
      resolve(socket);
    });
  });
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const sockets = [client, await accepted];
  open.push({ server, sockets });
  return { client, accepted: sockets[1]! };
}

/** Where what is sent is not what goes over the wire, it is left to the socket. */
const asStream = (socket: Socket): Socket => Object.assign(socket, { encrypted: false });
const asItIs = (socket: Socket): Socket => socket;
const ways: readonly (readonly [name: string, way: typeof asItIs])[] = [
  ["by the parts that Node has for it", asItIs],
  ["as a stream", asStream],
];

const someBytes = (random: SeededRandom, length: number): Buffer =>
  Buffer.alloc(length, `${random.integer(0, 1_000_000_000)}\u00ff`, "latin1");

it("Node has the parts that it takes", async () => {
  let bytes: SocketBytes | undefined;
  const { client, accepted } = await connected((socket) => {
    bytes = new SocketBytes(socket, () => {});
  });
  expect(accepted.listenerCount("data")).toBe(0);
  // Sent without the stream's knowledge.
  expect(bytes!.send(Buffer.from("hello..."), 5)).toBe(true);
  expect(accepted.bytesWritten).toBe(0);
  expect(String((await once(client, "data"))[0])).toBe("hello");
});

describe.each(ways)("a connection that is read and written %s", (_name, way) => {
  it(`receives what was sent, in whatever parts, and its end (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const received: Buffer[] = [];
    const take: TakeBytes = (bytes, length) => received.push(Buffer.from(bytes.subarray(0, length)));
    let bytes: SocketBytes | undefined;
    const { client, accepted } = await connected((socket) => {
      bytes = new SocketBytes(way(socket), take);
    });
    expect(bytes!.socket).toBe(accepted);
    const ended = once(accepted, "end");
    const sent: Buffer[] = [];
    for (let i = 0; i < 40; i++) {
      const part = someBytes(random, random.pick([1, 7, 300, 5000, 200_000]));
      sent.push(part);
      client.write(part);
      if (random.oneIn(5)) await sleep(1);
      if (random.oneIn(8)) {
        accepted.pause();
        // What was received already may still come in this turn, and nothing after.
        await sleep(1);
        const before = received.length;
        await sleep(3);
        expect(received.length).toBe(before);
        accepted.resume();
      }
    }
    client.end();
    await ended;
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
  });

  it(`sends all in order to a client that takes its time, and says which memory is still read (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    let bytes: SocketBytes | undefined;
    const { client, accepted } = await connected((socket) => {
      bytes = new SocketBytes(way(socket), () => {});
    });
    const received: Buffer[] = [];
    client.pause();
    client.on("data", (chunk: Buffer) => received.push(chunk));
    const sent: Buffer[] = [];
    let isStillRead = false;
    // Once the system holds no more of what was sent.
    for (let i = 0; i < 60 || !isStillRead; i++) {
      const length = i < 60 ? random.pick([1, 50, 5000, 400_000]) : 400_000;
      const memory = someBytes(random, length + 3);
      sent.push(Buffer.from(memory.subarray(0, length)));
      if (random.oneIn(10)) accepted.write(Buffer.from(memory.subarray(0, length)));
      else if (bytes!.send(memory, length)) memory.fill(0);
      else isStillRead = true;
    }
    accepted.end();
    client.resume();
    await once(client, "end");
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
  });

  it("is a stream like any other once it is released", async () => {
    const received: string[] = [];
    let bytes: SocketBytes | undefined;
    const take: TakeBytes = (chunk, length) => {
      received.push(`taken ${chunk.toString("latin1", 0, length)}`);
      bytes!.release();
      accepted.pause();
      accepted.unshift(Buffer.from("again "));
      accepted.on("data", (later: Buffer) => received.push(String(later)));
      accepted.resume();
    };
    const { client, accepted } = await connected((socket) => {
      bytes = new SocketBytes(way(socket), take);
    });
    const ended = once(accepted, "end");
    client.write("one");
    while (received.length < 2) await sleep(1);
    client.end("two");
    await ended;
    expect(received[0]).toBe("taken one");
    expect(received.slice(1).join("")).toBe("again two");
  });

  it("that is gone takes nothing, and nobody else gets it", async () => {
    let bytes: SocketBytes | undefined;
    const { client, accepted } = await connected((socket) => {
      bytes = new SocketBytes(way(socket), () => {});
      socket.on("error", () => {});
    });
    const closed = once(client.resume(), "close");
    const { fd } = (accepted as unknown as { readonly _handle: { readonly fd: number } })._handle;
    accepted.destroy();
    await once(accepted, "close");
    // The system gives the descriptor to the next that asks for one.
    const folder = mkdtempSync(join(tmpdir(), "onefold-socket-"));
    const files: number[] = [];
    for (let i = 0; i < 100 && !files.includes(fd); i++) files.push(openSync(join(folder, String(i)), "w"));
    expect(files).toContain(fd);
    expect(bytes!.send(Buffer.from("x"), 1)).toBe(true);
    for (const [i, file] of files.entries()) {
      closeSync(file);
      expect(statSync(join(folder, String(i))).size).toBe(0);
    }
    rmSync(folder, { recursive: true });
    await closed;
    expect(client.bytesRead).toBe(0);
  });
});
