import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { HOST, HOT, OTHERS, raw, withLines } from "./known-requests.ts";
import { requestBytes, vectorBody, vectorRequest } from "./request-text.ts";
import { answersOfBoth, differenceOf, openTwoDoors, type Parts, type TwoDoors } from "./two-doors.ts";

let doors: TwoDoors;
beforeAll(async () => {
  doors = await openTwoDoors();
});
afterAll(() => doors.close());

const same = async (parts: Parts): Promise<readonly string[]> => {
  const { fast, ordinary } = await answersOfBoth(doors, parts);
  if (differenceOf(fast, ordinary) !== null) expect(fast).toEqual(ordinary);
  return fast.answers;
};

describe("the fast door answers as the ordinary server does", () => {
  for (const [name, bytes] of Object.entries({ ...HOT, ...OTHERS })) {
    it(name, async () => {
      await same([bytes]);
    });
  }

  it("when requests are split at any byte", async () => {
    for (const bytes of [vectorRequest("Zürich"), HOT["features by URL, escaped"]!, OTHERS["chunked, whole"]!]) {
      const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
      for (let i = 0; i < cuts.length; i += 40) {
        const some = cuts.slice(i, i + 40);
        await Promise.all(some.map((cut) => same([bytes.subarray(0, cut), bytes.subarray(cut)])));
      }
    }
  });

  it("when every byte comes alone", async () => {
    for (const name of ["a vector with token and metadata", "features by URL, escaped"]) {
      await same(Array.from(HOT[name]!, (byte) => Buffer.from([byte])));
    }
  });

  it("when hot and cold requests come in one go, in any order", async () => {
    const [batch, health] = [HOT["features of a batch"]!, OTHERS["a cold route"]!];
    const hot = Object.values(HOT);
    expect(await same([Buffer.concat(hot)])).toHaveLength(hot.length);
    expect(await same([Buffer.concat([...hot, health, ...hot])])).toHaveLength(2 * hot.length + 1);
    expect(await same([Buffer.concat([batch, health, batch, vectorRequest()])])).toHaveLength(4);
    expect(await same([Buffer.concat([batch, batch, raw("nonsense\r\n\r\n")])])).toHaveLength(3);
    const end = requestBytes({ headers: [HOST, "Connection: close"], body: vectorBody("A1") });
    expect(await same([Buffer.concat([vectorRequest(), end, vectorRequest()])])).toHaveLength(2);
  });

  it("when a smuggled request hides in a body", async () => {
    const hidden = vectorRequest("hidden").toString();
    for (const lines of [
      [HOST, `Content-Length: ${hidden.length}`],
      [HOST, `Content-Length: ${hidden.length}`, "Content-Length: 0"],
      [HOST, "Content-Length: 0", "Transfer-Encoding: chunked"],
      [HOST, "Transfer-Encoding: chunked", "Content-Length: 0"],
      [HOST, "Transfer-Encoding: xchunked", "Content-Length: 0"],
      [HOST, "Content-Length: 0", "X: y\nTransfer-Encoding: chunked"],
      [HOST, "Content-Length:\u000b0"],
      [HOST, `Content-Length: ${hidden.length}\r`],
    ]) {
      await same([withLines(lines, `0\r\n\r\n${hidden}`)]);
      await same([withLines(lines, hidden), vectorRequest()]);
    }
  });
});

describe("a request is read once", () => {
  it("whichever door it is answered by", async () => {
    for (const bytes of [...Object.values(HOT), ...Object.values(OTHERS)]) {
      const both = [doors.fast.world.recorded, doors.ordinary.world.recorded];
      const before = both.map((recorded) => recorded.length);
      await same([bytes, vectorRequest("A1")]);
      const [fast, ordinary] = both.map((recorded, i) => recorded.length - before[i]!);
      expect(fast, bytes.toString("latin1").slice(0, 80)).toBe(ordinary);
    }
  });

  it("by the fast door alone where it is of the simple kind, and by the ordinary server where not", async () => {
    const seen: string[] = [];
    const onRequest = (message: unknown): void => {
      const { socket, request } = message as { socket: Socket; request: { url: string } };
      if (socket.localPort === doors.fast.server.port) seen.push(request.url);
    };
    subscribe("http.server.request.start", onRequest);
    await Promise.all(Object.values(HOT).map((bytes) => same([bytes])));
    expect(seen).toEqual([]);
    await same([OTHERS["a cold route"]!]);
    expect(seen).toEqual(["/health"]);
    unsubscribe("http.server.request.start", onRequest);
  });
});
