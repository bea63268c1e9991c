/** Bodies of many connections that never become whole: what they take together is bounded, at either door. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestBytes, vectorBody, vectorRequest } from "./request-text.ts";
import { openTwoDoors, type TwoDoors } from "./two-doors.ts";

const MEGABYTE = 1024 * 1024;

let doors: TwoDoors;
const sockets: Socket[] = [];
beforeEach(async () => {
  doors = await openTwoDoors();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  return doors.close();
});

/** A request with a body of so many bytes, all of it but the last. */
function allButTheEnd(bytes: number): Buffer {
  const body = vectorBody("A1");
  return requestBytes({ body: body + " ".repeat(bytes - Buffer.byteLength(body)) }).subarray(0, -1);
}

/** The status of a whole request with a body that the ordinary server answers. */
async function statusOf(url: string): Promise<number> {
  const body = vectorBody("A1") + " ".repeat(MEGABYTE);
  const response = await fetch(`${url}/services/delay_model/vector`, { method: "POST", body });
  await response.arrayBuffer();
  return response.status;
}

/** The beginning of the answer to a request on a connection of its own. */
async function answerOf(port: number, request: Buffer): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.write(request);
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return chunk.toString("latin1");
}

describe("bodies that are not whole", () => {
  it.each([
    ["fast", "small", 400, 200_000],
    ["fast", "large", 10, 7 * MEGABYTE],
    ["ordinary", "large", 10, 7 * MEGABYTE],
  ] as const)("have a bound together at the %s door, %s ones", async (door, _, connections, bytes) => {
    const { url, port } = doors[door].server;
    const begun = allButTheEnd(bytes);
    expect(await statusOf(url)).toBe(200);
    for (let i = 0; i < connections; i++) {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.resume().write(begun);
      sockets.push(socket);
    }
    await expect.poll(() => statusOf(url)).toBe(429);
    // Who comes and asks for little is answered all the same.
    expect(await answerOf(port, vectorRequest("A1"))).toMatch(/^HTTP\/1\.1 200 OK/);
    for (const socket of sockets.splice(0)) socket.destroy();
    await expect.poll(() => statusOf(url)).toBe(200);
    expect(doors[door].failures).toEqual([]);
  });

  it("are refused at the fast door too where they come bit by bit, once there is no room for more", async () => {
    const { url, port } = doors.fast.server;
    const begun = allButTheEnd(200_000);
    for (let i = 0; i < 400; i++) {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.resume().write(begun);
      sockets.push(socket);
    }
    await expect.poll(() => statusOf(url), { timeout: 30_000 }).toBe(429);
    // What little is left is given to the first of them.
    const heard: string[] = [];
    const late = Array.from({ length: 20 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    sockets.push(...late);
    for (const socket of late) {
      socket.on("data", (chunk: Buffer) => heard.push(chunk.toString("latin1")));
      socket.write(begun.subarray(0, 300));
    }
    for (let from = 300; from < begun.length; from += 30_000) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (const socket of late) if (socket.writable) socket.write(begun.subarray(from, from + 30_000));
    }
    for (const socket of late) if (socket.writable) socket.write(" ");
    await expect.poll(() => heard.length, { timeout: 30_000 }).toBe(20);
    expect(heard.filter((answer) => answer.startsWith("HTTP/1.1 429 ")).length).toBeGreaterThan(10);
  });
});
